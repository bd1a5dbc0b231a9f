"""What a released version has ever said is understood; what was ever found to be hostile is refused."""

import pytest

from p2pfl.errors import RemoteError
from p2pfl.wire.framing import HEADER_BYTES, FrameType
from tests.corpus.replay import Recorded, arrivals, in_words, read
from tests.corpus.samples import client, hostile, server, valid

VALID, HOSTILE = read("valid"), read("hostile")
HOW = "run python -m tests.corpus.record"


def name_of(recorded: Recorded) -> str:
    return f"{recorded.stream.name}-{recorded.stream.state}"


def payload(type: FrameType) -> bytes:
    (found,) = (line.stream.data for line in VALID if line.type == type.name)
    return found[HEADER_BYTES:]


def test_every_type_of_frame_has_a_sample_and_is_recorded() -> None:
    assert set(valid()) == set(FrameType), "a type lacks an entry in tests/corpus/samples.py"
    assert {kind.name for kind in FrameType} <= {line.type for line in VALID}, HOW


def test_every_hostile_sample_is_recorded() -> None:
    assert {stream.data for stream in hostile()} <= {line.stream.data for line in HOSTILE}, HOW


@pytest.mark.parametrize("recorded", VALID, ids=name_of)
def test_a_recorded_stream_means_what_it_meant(recorded: Recorded) -> None:
    assert in_words(arrivals(recorded.stream)) == recorded.outcome


@pytest.mark.parametrize("recorded", HOSTILE, ids=name_of)
def test_a_hostile_stream_is_refused_for_the_same_reason(recorded: Recorded) -> None:
    with pytest.raises(RemoteError) as caught:
        arrivals(recorded.stream)

    assert caught.value.code == recorded.outcome


def test_a_recorded_handshake_is_understood_on_both_sides() -> None:
    bert, anna = server(), client()
    anna.auth(payload(FrameType.HELLO))
    answer = bert.welcome(payload(FrameType.AUTH))
    anna.welcomed(payload(FrameType.WELCOME))

    assert answer == payload(FrameType.WELCOME)  # the MAC over the recorded transcript
