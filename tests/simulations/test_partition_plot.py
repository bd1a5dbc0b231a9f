from pathlib import Path

import numpy as np
import pytest
from matplotlib.patches import Rectangle

from p2pfl.data.digits import digits
from p2pfl.data.partition import dirichlet, histogram
from p2pfl.errors import ConfigError
from simulations.partition_plot import plot_partition


def test_every_count_stands_in_its_cell_and_every_size_above() -> None:
    train = digits().train
    parts = dirichlet(train, 5, 0)
    figure = plot_partition(train, parts, classes=10)
    sizes, cells = figure.axes

    counts = histogram(train, parts, 10)
    drawn = np.zeros_like(counts)
    for text in cells.texts:
        part, label = text.get_position()
        drawn[int(part), int(label)] = int(text.get_text())
    np.testing.assert_array_equal(drawn, counts)
    assert [bar.get_height() for bar in sizes.patches if isinstance(bar, Rectangle)] == counts.sum(
        axis=1
    ).tolist()
    assert "1442 rows in 5 parts, e65f74dc" in figure.get_suptitle()


def test_a_picture_of_many_parts_is_written_with_a_scale_of_colours(tmp_path: Path) -> None:
    train = digits().train
    figure = plot_partition(train, dirichlet(train, 60, 0), tmp_path / "who.png", classes=10)

    assert (tmp_path / "who.png").read_bytes().startswith(b"\x89PNG")
    assert len(figure.axes) == 3
    assert not figure.axes[1].texts


def test_parts_may_have_names() -> None:
    train = digits().train
    names = ["north", "south"]
    figure = plot_partition(train, dirichlet(train, 2, 0), classes=10, names=names)

    assert [label.get_text() for label in figure.axes[1].get_xticklabels()] == names
    with pytest.raises(ConfigError, match="2 parts of 10 classes with 1 names"):
        plot_partition(train, dirichlet(train, 2, 0), classes=10, names=["north"])


def test_a_file_that_cannot_be_drawn_into_is_named(tmp_path: Path) -> None:
    train = digits().train
    parts = dirichlet(train, 2, 0)

    with pytest.raises(ConfigError, match=r"ends in '.txt'; known: .*png"):
        plot_partition(train, parts, tmp_path / "who.txt", classes=10)
    with pytest.raises(ConfigError, match="cannot write"):
        plot_partition(train, parts, tmp_path / "missing" / "who.png", classes=10)
