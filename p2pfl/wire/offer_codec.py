"""Frames that answer an offer: ACCEPT, REJECT and RECEIPT."""

from collections.abc import Mapping

from p2pfl.wire.framing import FrameType, frame
from p2pfl.wire.packets import Accept, Receipt, Reject
from p2pfl.wire.record import MAX_TEXT, Record, is_word, pack, unpack


def encode_answer(answer: Accept | Reject | Receipt) -> bytes:
    """The frame of an answer."""
    match answer:
        case Accept(sequence):
            return frame(FrameType.ACCEPT, pack({"sequence": sequence}))
        case Reject(sequence, code, text, mark):
            marks = {"seen_start": mark[0], "seen_sequence": mark[1]} if any(mark) else {}
            return frame(FrameType.REJECT, _worded(sequence, code, text, marks=marks))
        case Receipt(sequence, code, text):
            return frame(FrameType.RECEIPT, _worded(sequence, code, text))


def decode_accept(payload: bytes) -> Accept:
    """The acceptance in a frame; raises RemoteError."""
    return Accept(unpack(payload).integer("sequence"))


def decode_reject(payload: bytes) -> Reject:
    """The rejection in a frame; raises RemoteError."""
    record = unpack(payload)
    mark = record.integer("seen_start", default=0), record.integer("seen_sequence", default=0)
    return Reject(*_words(record), mark)


def decode_receipt(payload: bytes) -> Receipt:
    """The receipt in a frame; raises RemoteError."""
    return Receipt(*_words(unpack(payload)))


def _worded(sequence: int, code: str, text: str, *, marks: Mapping[str, int] | None = None) -> bytes:
    if not is_word(code):
        raise ValueError(f"a code of printable characters, not {code!r}")
    return pack({"sequence": sequence, "code": code, "text": text[:MAX_TEXT], **(marks or {})})


def _words(record: Record) -> tuple[int, str, str]:
    return record.integer("sequence"), record.word("code"), record.text("text")
