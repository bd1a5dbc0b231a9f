import numpy as np

from p2pfl.model import Model
from p2pfl.protocols.round_buffer import KEPT_ROUNDS, RoundBuffer


def model(value: float) -> Model:
    return Model(np.full(2, value, dtype=np.float32))


def test_the_latest_four_rounds_of_a_sender_are_kept() -> None:
    buffer = RoundBuffer()
    for number in range(6):
        buffer.add("b", number, model(number))

    assert [buffer.get("b", number) is not None for number in range(6)] == [False] * 2 + [True] * KEPT_ROUNDS
    assert buffer.latest("b") == 5
    assert buffer.latest("c") == -1


def test_a_repetition_does_not_replace_what_came_first() -> None:
    buffer = RoundBuffer()
    first = model(1)
    buffer.add("b", 3, first)
    buffer.add("b", 3, model(2))

    assert buffer.get("b", 3) is first


def test_a_message_from_before_the_kept_rounds_is_dropped() -> None:
    buffer = RoundBuffer()
    for number in (5, 6, 7, 8, 2):
        buffer.add("b", number, model(number))

    assert buffer.get("b", 2) is None
    assert buffer.get("b", 5) is not None
    assert buffer.latest("b") == 8


def test_models_of_the_past_and_of_strangers_are_forgotten() -> None:
    buffer = RoundBuffer()
    buffer.add("b", 3, model(3))
    buffer.add("c", 4, model(4))

    buffer.forget_before(4)
    buffer.keep_only(frozenset("b"))

    assert buffer.get("b", 3) is None
    assert buffer.latest("b") == 3
    assert buffer.latest("c") == -1
