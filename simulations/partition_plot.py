"""Who has what: a picture of a partition (needs the extra ``experiments``)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from p2pfl.data.dataset import Samples
from p2pfl.data.partition import Rows, fingerprint, histogram
from p2pfl.errors import ConfigError

NUMBERS_LIMIT = 16  # parts and classes up to which the counts stand in the cells
TICKS_LIMIT = 40
LARGEST_INCHES = 14.0
COLOURS = "Blues"
BAR_COLOUR = "#2f6fb3"


def plot_partition(
    samples: Samples,
    parts: Sequence[Rows],
    path: str | Path | None = None,
    *,
    classes: int,
    names: Sequence[str] = (),
    title: str = "",
) -> Figure:
    """Rows of each class (down) at each part (across), and above them all rows of each part.

    ``names`` are those of the parts.  Written to ``path`` (.png, .svg, .pdf) when given.
    """
    counts = histogram(samples, parts, classes)
    if not counts.size or (names and len(names) != len(counts)):
        raise ConfigError(
            f"{len(counts)} parts of {classes} classes with {len(names)} names: nothing to draw"
        )
    width = min(LARGEST_INCHES, 3.0 + 0.5 * len(counts))
    height = min(LARGEST_INCHES, 3.0 + 0.35 * classes)
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    sizes, cells = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [1, 3]})
    figure.suptitle(title or f"{counts.sum()} rows in {len(counts)} parts, {fingerprint(parts)[:8]}")
    _draw_sizes(sizes, counts.sum(axis=1))
    _draw_cells(cells, counts)
    _name_parts(cells, names or [str(part) for part in range(len(counts))])
    if path is not None:
        _save(figure, Path(path))
    return figure


def _draw_sizes(axes: Axes, sizes: NDArray[np.int64]) -> None:
    axes.bar(np.arange(len(sizes)), sizes, color=BAR_COLOUR)
    axes.set_ylabel("rows")
    axes.spines[["top", "right"]].set_visible(False)


def _draw_cells(axes: Axes, counts: NDArray[np.int64]) -> None:
    image = axes.imshow(counts.T, aspect="auto", cmap=COLOURS, vmin=0, interpolation="nearest")
    axes.set_xlabel("part")
    axes.set_ylabel("class")
    if counts.shape[1] <= TICKS_LIMIT:
        axes.set_yticks(np.arange(counts.shape[1]))
    if max(counts.shape) > NUMBERS_LIMIT:
        axes.figure.colorbar(image, ax=axes, label="rows")
        return
    dark = counts.max() / 2
    for (part, label), count in np.ndenumerate(counts):
        if count:
            colour = "white" if count > dark else "black"
            axes.text(part, label, str(count), ha="center", va="center", color=colour, fontsize=8)


def _name_parts(axes: Axes, names: Sequence[str]) -> None:
    if len(names) > TICKS_LIMIT:
        return
    is_long = max(map(len, names)) > 3
    axes.set_xticks(
        np.arange(len(names)), names, rotation=45 if is_long else 0, ha="right" if is_long else "center"
    )


def _save(figure: Figure, path: Path) -> None:
    known = sorted(figure.canvas.get_supported_filetypes())
    if path.suffix.removeprefix(".").lower() not in known:
        raise ConfigError(
            f"cannot draw into a file that ends in {path.suffix!r}; known: {', '.join(known)}",
            where=str(path),
        )
    try:
        figure.savefig(path, dpi=150)
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}", where=str(path)) from error
