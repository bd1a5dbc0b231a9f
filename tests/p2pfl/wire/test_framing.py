import pytest

from p2pfl.errors import RemoteError
from p2pfl.wire.frame_buffer import FrameBuffer
from p2pfl.wire.framing import FrameType, checked_type, frame
from p2pfl.wire.limits import Limits

LIMITS = Limits()


def test_a_header_is_length_type_flags_and_stream_in_network_order() -> None:
    assert frame(FrameType.GOODBYE, b"abc") == b"\x00\x00\x00\x03\x13\x00\x00\x00abc"


@pytest.mark.parametrize("number", [0x05, 0x04])
def test_before_the_greeting_only_a_greeting_or_a_refusal_may_come(number: int) -> None:
    assert checked_type(number, 10, is_greeted=False, limits=LIMITS) == number

    for other in (0x00, 0x01, 0x10, 0x11, 0x12, 0x13, 0x7F):
        with pytest.raises(RemoteError, match="no place") as caught:
            checked_type(other, 10, is_greeted=False, limits=LIMITS)
        assert caught.value.code == "unexpected_frame"


def test_after_the_greeting_a_second_one_or_a_stray_body_has_no_place() -> None:
    for other in (0x05, 0x12, 0x7F):
        with pytest.raises(RemoteError, match="no place"):
            checked_type(other, 10, is_greeted=True, limits=LIMITS)


@pytest.mark.parametrize(("is_greeted", "cap"), [(False, 4096), (True, 65536)])
def test_the_length_is_compared_with_the_cap_of_the_state(is_greeted: bool, cap: int) -> None:
    for number in (0x04, 0x80, 0xFF):
        checked_type(number, cap, is_greeted=is_greeted, limits=LIMITS)
        with pytest.raises(RemoteError, match=f"at most {cap}") as caught:
            checked_type(number, cap + 1, is_greeted=is_greeted, limits=LIMITS)
        assert caught.value.code == "too_big"


def test_an_unknown_type_of_0x80_or_more_is_to_be_skipped() -> None:
    assert checked_type(0x80, 10, is_greeted=True, limits=LIMITS) is None


def feed(buffer: FrameBuffer, data: bytes) -> None:
    memory = buffer.free()
    memory[: len(data)] = data
    buffer.added(len(data))


def test_a_frame_buffer_holds_the_longest_frame_and_not_one_byte_more() -> None:
    buffer = FrameBuffer(16)
    whole = frame(FrameType.HEARTBEAT, b"x" * 16)

    feed(buffer, whole)

    assert len(buffer.free()) == 0
    assert buffer.header() == (16, FrameType.HEARTBEAT)
    assert buffer.take(16) == b"x" * 16
    assert len(buffer.free()) == len(whole)


def test_what_has_come_of_the_next_frame_survives_growth_and_removal() -> None:
    buffer = FrameBuffer(16)
    feed(buffer, frame(FrameType.INFO, b"first") + frame(FrameType.HEARTBEAT, b"second")[:10])

    assert buffer.take(5) == b"first"
    assert buffer.take(6) is None
    buffer.grow(100)
    feed(buffer, b"cond")

    assert buffer.take(6) == b"second"
    assert buffer.header() is None
