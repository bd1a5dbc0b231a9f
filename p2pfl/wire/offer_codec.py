"""Frames that answer an offer: ACCEPT, REJECT and RECEIPT."""

from p2pfl.wire.framing import FrameType, frame
from p2pfl.wire.packets import Accept, Receipt, Reject
from p2pfl.wire.record import MAX_TEXT, is_word, pack, unpack


def encode_answer(answer: Accept | Reject | Receipt) -> bytes:
    """The frame of an answer."""
    match answer:
        case Accept(sequence):
            return frame(FrameType.ACCEPT, pack({"sequence": sequence}))
        case Reject(sequence, code, text):
            return frame(FrameType.REJECT, _worded(sequence, code, text))
        case Receipt(sequence, code, text):
            return frame(FrameType.RECEIPT, _worded(sequence, code, text))


def decode_accept(payload: bytes) -> Accept:
    """The acceptance in a frame; raises RemoteError."""
    return Accept(unpack(payload).integer("sequence"))


def decode_reject(payload: bytes) -> Reject:
    """The rejection in a frame; raises RemoteError."""
    return Reject(*_words(payload))


def decode_receipt(payload: bytes) -> Receipt:
    """The receipt in a frame; raises RemoteError."""
    return Receipt(*_words(payload))


def _worded(sequence: int, code: str, text: str) -> bytes:
    if not is_word(code):
        raise ValueError(f"a code of printable characters, not {code!r}")
    return pack({"sequence": sequence, "code": code, "text": text[:MAX_TEXT]})


def _words(payload: bytes) -> tuple[int, str, str]:
    record = unpack(payload)
    return record.integer("sequence"), record.word("code"), record.text("text")
