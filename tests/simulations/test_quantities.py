"""Quantities that differ from link to link."""

import numpy as np
import pytest

from p2pfl.errors import ConfigError
from simulations.quantities import PROBABILITY, SECONDS, Quantity


def values(found: object, *, links: int = 2000) -> list[float]:
    quantity = Quantity(found, where="network.latency_s", limits=SECONDS)
    return [quantity.of(0, i, np.random.default_rng([1, i])) for i in range(links)]


def test_a_number_and_a_constant_are_the_same_everywhere() -> None:
    assert set(values(0.25)) == {0.25}
    assert set(values({"distribution": "constant", "value": 0.25})) == {0.25}


def test_a_distribution_is_drawn_once_per_link_and_has_its_shape() -> None:
    uniform = values({"distribution": "uniform", "low": 1.0, "high": 3.0})
    assert min(uniform) >= 1.0
    assert max(uniform) <= 3.0
    assert np.mean(uniform) == pytest.approx(2.0, abs=0.05)
    lognormal = values({"distribution": "lognormal", "median": 0.1, "sigma": 0.5})
    assert np.median(lognormal) == pytest.approx(0.1, rel=0.1)
    assert np.std(np.log(lognormal)) == pytest.approx(0.5, rel=0.1)


def test_a_draw_stays_within_the_limits() -> None:
    loss = Quantity(
        {"distribution": "lognormal", "median": 0.5, "sigma": 3.0}, where="network.loss", limits=PROBABILITY
    )
    assert max(loss.of(0, i, np.random.default_rng(i)) for i in range(200)) == 1.0


def test_a_table_names_edges_one_way_or_both_ways() -> None:
    table = Quantity({"default": 0.5, "0->3": 0.25, "1--2": 2.0}, where="network.latency_s", limits=SECONDS)
    assert [table.of(0, 3), table.of(3, 0), table.of(1, 2), table.of(2, 1)] == [0.25, 0.5, 2.0, 2.0]


def test_a_function_of_the_edge_is_checked_when_it_is_asked() -> None:
    distance = Quantity(lambda u, v: (v - u) / 10, where="network.latency_s", limits=SECONDS)
    assert distance.of(1, 3) == pytest.approx(0.2)
    with pytest.raises(ConfigError, match=r"latency_s = -0\.2") as caught:
        distance.of(3, 1)
    assert caught.value.where == "network.latency_s"


@pytest.mark.parametrize(
    ("found", "where", "words"),
    [
        ("fast", "network.latency_s", "0 or more seconds"),
        ({"distribution": "normal"}, "network.latency_s.distribution", "known: constant, lognormal, uniform"),
        ({"distribution": "uniform", "low": 1}, "network.latency_s.high", "no high"),
        ({"distribution": "uniform", "low": 2, "high": 1}, "network.latency_s", "above"),
        ({"distribution": "lognormal", "median": -1, "sigma": 1}, "network.latency_s.median", "median = -1"),
        ({"distribution": "constant", "value": 1, "sigma": 1}, "network.latency_s.sigma", "'sigma'"),
        ({"0->1": 1.0}, "network.latency_s", "default"),
        ({"default": 1.0, "0-1": 1.0}, "network.latency_s.0-1", "is no edge"),
        ({"default": 1.0, "0->1": -1.0}, "network.latency_s.0->1", "= -1.0 is not possible"),
        ({"default": {"low": 1}}, "network.latency_s.default", "no number and no distribution"),
    ],
)
def test_a_wrong_quantity_names_its_key(found: object, where: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Quantity(found, where="network.latency_s", limits=SECONDS)
    assert caught.value.where == where
    assert words in caught.value.what
