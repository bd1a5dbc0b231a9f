"""The fate of messages on simulated links."""

import pytest

from p2pfl.errors import ConfigError
from simulations.network import BLOCK_MESSAGES, LinkFates, Network, network_from

LOSSY = Network(latency_s=0.1, jitter_s=0.2, loss=0.3, duplicate=0.2)


def fates(network: Network, *, seed: int = 7, sender: int = 1, receiver: int = 2) -> LinkFates:
    return LinkFates(network, seed, sender=sender, receiver=receiver)


def test_a_perfect_network_delivers_each_message_once_and_at_once() -> None:
    assert [fates(Network()).delays_s(number) for number in range(3)] == [(0.0,)] * 3


def test_a_fate_does_not_depend_on_the_order_of_asking() -> None:
    count = 3 * BLOCK_MESSAGES
    forwards = [fates(LOSSY).delays_s(number) for number in range(count)]
    link = fates(LOSSY)
    backwards = [link.delays_s(number) for number in reversed(range(count))]
    assert forwards == backwards[::-1]


@pytest.mark.parametrize(
    "change", [{"seed": 8}, {"sender": 3}, {"receiver": 3}, {"sender": 2, "receiver": 1}]
)
def test_another_seed_or_link_has_other_fates(change: dict[str, int]) -> None:
    numbers = range(40)
    ours = [fates(LOSSY).delays_s(number) for number in numbers]
    theirs = [fates(LOSSY, **change).delays_s(number) for number in numbers]
    assert ours != theirs


def test_loss_duplicates_and_jitter_occur_as_often_as_asked() -> None:
    link = fates(LOSSY)
    found = [link.delays_s(number) for number in range(20_000)]
    assert sum(not copies for copies in found) / 20_000 == pytest.approx(0.3, abs=0.015)
    arrived = [copies for copies in found if copies]
    assert sum(len(copies) == 2 for copies in arrived) / len(arrived) == pytest.approx(0.2, abs=0.015)
    delays = [delay for copies in arrived for delay in copies]
    assert min(delays) >= 0.1
    assert max(delays) < 0.3
    assert sum(delays) / len(delays) == pytest.approx(0.2, abs=0.003)


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"latency_s": -1}, "latency_s"),
        ({"latency_s": float("inf")}, "latency_s"),
        ({"jitter_s": float("nan")}, "jitter_s"),
        ({"loss": 1.5}, "loss"),
        ({"duplicate": "often"}, "duplicate"),
        ({"bandwidth_bps": 0}, "bandwidth_bps"),
        ({"keeps_order": 1}, "keeps_order"),
    ],
)
def test_an_impossible_value_names_its_key(options: dict[str, object], key: str) -> None:
    with pytest.raises(ConfigError, match=key) as caught:
        network_from(options)
    assert caught.value.where == f"network.{key}"


def test_an_unknown_option_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"unknown option of the network: 'latency'.*latency_s") as caught:
        network_from({"latency": 1})
    assert caught.value.fix == "did you mean latency_s?"


@pytest.mark.parametrize(
    ("shape", "mean"), [("exponential", 0.2), ("lognormal", 0.2 * 2.718281828**0.5), ("uniform", 0.1)]
)
def test_jitter_has_the_shape_that_was_asked_for(shape: str, mean: float) -> None:
    link = fates(Network(latency_s=1.0, jitter_s=0.2, jitter_shape=shape))
    delays = [link.delays_s(number)[0] for number in range(20_000)]
    assert min(delays) >= 1.0
    assert sum(delays) / len(delays) - 1.0 == pytest.approx(mean, rel=0.05)


def test_reordered_messages_are_as_many_as_asked_for_and_later_than_others() -> None:
    link = fates(Network(latency_s=1.0, reorder=0.25, reorder_delay_s=2.0))
    delays = [link.delays_s(number)[0] for number in range(8_000)]
    late = [delay_s for delay_s in delays if delay_s > 1.0]
    assert len(late) / len(delays) == pytest.approx(0.25, abs=0.02)
    assert max(late) < 3.0


def test_what_a_link_is_like_is_drawn_per_directed_link_and_repeatable() -> None:
    network = network_from({"latency_s": {"distribution": "uniform", "low": 0, "high": 1}, "loss": 0.1})
    there, back = (network.quality(7, sender=s, receiver=9 - s) for s in (4, 5))
    assert there == network.quality(7, sender=4, receiver=5)
    assert there.latency_s != back.latency_s
    assert there.loss == back.loss == 0.1
    assert network.quality(8, sender=4, receiver=5) != there


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({"loss": {"default": 0.1, "0->1": 2}}, "network.loss.0->1"),
        ({"jitter_shape": "normal"}, "network.jitter_shape"),
        ({"break_s": -1}, "network.break_s"),
        ({"reorder": 1.1}, "network.reorder"),
    ],
)
def test_an_impossible_value_inside_a_table_names_its_key(options: dict[str, object], where: str) -> None:
    with pytest.raises(ConfigError) as caught:
        network_from(options)
    assert caught.value.where == where
