"""What is recorded: for each type of frame a few streams in which it occurs, and hostile streams by name.

A stream begins in a state of a link: ``opening`` (TLS is up, nothing is proved), ``greeting`` (a greeting is
due) or ``greeted``.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from p2pfl.events import Message
from p2pfl.identity.admission import Admission
from p2pfl.identity.handshake import ClientHandshake, Credentials, ServerHandshake
from p2pfl.membership import Heartbeat, Rumour, State
from p2pfl.trust import Trust
from p2pfl.wire.framing import FrameType, frame, frame_header
from p2pfl.wire.heartbeat_codec import encode_heartbeat
from p2pfl.wire.link_codec import Refused, encode_goodbye, encode_greeting, encode_refused
from p2pfl.wire.message_codec import encode_message
from p2pfl.wire.offer_codec import encode_answer
from p2pfl.wire.packets import KEPT, Accept, Envelope, Goodbye, Receipt, Reject
from p2pfl.wire.ping import Ping, Pong, encode_ping
from p2pfl.wire.record import pack
from tests.p2pfl.identities import NETWORK, NETWORK_KEY, NOBODY, someone
from tests.p2pfl.wire.samples import GREETING, PARAMETERS, SCHEMA, as_bytes, envelope, model, note

OPENING, GREETING_DUE, GREETED = "opening", "greeting", "greeted"
SERVER_NONCE, CLIENT_NONCE = b"s" * 32, b"c" * 32


@dataclass(frozen=True, slots=True)
class Stream:
    """Bytes as they come, and the state of the link before the first."""

    name: str
    state: str
    data: bytes


def server() -> ServerHandshake:
    """Bert, who is dialled; the network key admits."""
    return ServerHandshake(_credentials("bert"), _admission(), nonce=SERVER_NONCE)


def client() -> ClientHandshake:
    """Anna, who dials him."""
    return ClientHandshake(
        _credentials("anna"), _admission(), server=_credentials("bert").key, nonce=CLIENT_NONCE
    )


def valid() -> Mapping[FrameType, list[Stream]]:
    """Streams of this version by the type of frame that they are there for."""
    bert, anna = server(), client()
    hello = bert.hello()
    auth = anna.auth(hello)
    rumours = tuple(Rumour("anna", 3, state, "Anna's", "tcp://10.0.0.1:7964") for state in State)
    arrays = Message("total", 5, model(), {"share": 0.5, "n": -1, "word": "x", "mark": b"\x00\xff"}, ROWS)
    return {
        FrameType.HELLO: [Stream("hello", OPENING, frame(FrameType.HELLO, hello))],
        FrameType.AUTH: [Stream("auth", OPENING, frame(FrameType.AUTH, auth))],
        FrameType.WELCOME: [Stream("welcome", OPENING, frame(FrameType.WELCOME, bert.welcome(auth)))],
        FrameType.REFUSED: [
            Stream("refused", GREETING_DUE, encode_refused(Refused("wrong_plan", "theirs is star"))),
            Stream("refused later", GREETED, encode_refused(Refused("novel", ""))),
        ],
        FrameType.INFO: [Stream("info", GREETING_DUE, encode_greeting(GREETING))],
        FrameType.HEARTBEAT: [
            Stream("heartbeat", GREETED, encode_heartbeat(Heartbeat(1, b"roster"))),
            Stream("rumours", GREETED, encode_heartbeat(Heartbeat(2**63 - 1, b"r" * 32, rumours))),
        ],
        FrameType.MESSAGE: [Stream("note", GREETED, as_bytes(note(7)))],
        FrameType.OFFER: [Stream("offer", GREETED, encode_message(envelope(4), SCHEMA)[0])],
        FrameType.ACCEPT: [Stream("accept", GREETED, encode_answer(Accept(2**63 - 1)))],
        FrameType.REJECT: [Stream("reject", GREETED, encode_answer(Reject(7, "muted", "three strikes")))],
        FrameType.RECEIPT: [Stream("receipt", GREETED, encode_answer(Receipt(7, KEPT)))],
        FrameType.BODY: [
            Stream("model", GREETED, as_bytes(envelope(4))),
            Stream("arrays", GREETED, as_bytes(Envelope(arrays, b"roster", 3, 9))),
        ],
        FrameType.PING: [Stream("ping", GREETED, encode_ping(Ping(b"12345678")))],
        FrameType.PONG: [Stream("pong", GREETED, encode_ping(Pong(b"12345678")))],
        FrameType.GOODBYE: [Stream("goodbye", GREETED, encode_goodbye(Goodbye("leaving", "the node stops")))],
    }


# Of any type: what a later minor version may send is skipped, unknown keys are ignored.
LATER = [
    Stream(
        "skipped", GREETED, b"\x00\x00\x00\x05\xf0\x01\x00\x07later" + encode_heartbeat(Heartbeat(1, b""))
    ),
    Stream(
        "more keys",
        GREETED,
        frame(FrameType.HEARTBEAT, pack({"incarnation": 1, "roster": b"", "later": {"x": [1]}})),
    ),
]
ROWS = (np.linspace(0, 1, PARAMETERS),)


def hostile() -> list[Stream]:
    """Streams that no honest node sends."""
    found = [Stream(f"four gigabytes 0x{t:02x}", s, _huge(t)) for t in (*FrameType, 0x80) for s in STATES]
    found += [Stream(f"unknown 0x{t:02x}", GREETED, _empty(t)) for t in (0x00, 0x0F, 0x7F)]
    found += [Stream("http", state, b"GET / HTTP/1.1\r\n\r\n") for state in STATES]
    found += [
        Stream(f"{kind.name.lower()} {name}", GREETED, frame(kind, packed))
        for kind in MAPS
        for name, packed in BAD_MAPS.items()
    ]
    found += [
        Stream(f"info {name}", GREETING_DUE, frame(FrameType.INFO, b"P2PN\x01\x00" + packed))
        for name, packed in BAD_MAPS.items()
    ]
    head = encode_message(envelope(), SCHEMA)[0]
    found += [
        Stream("body too long", GREETED, head + frame_header(FrameType.BODY, 29)),
        Stream("body of four gigabytes", GREETED, head + frame_header(FrameType.BODY, 2**32 - 1)),
        Stream("a second offer", GREETED, head + head),
        Stream("body of no accepted offer", GREETED, as_bytes(note(1)) + frame(FrameType.BODY, bytes(28))),
        Stream("body alone", GREETED, frame(FrameType.BODY, bytes(28))),
        Stream("second greeting", GREETED, encode_greeting(GREETING)),
        Stream("refusal of one byte", GREETED, frame(FrameType.REFUSED, b"\x00")),
        Stream("too many to skip", GREETING_DUE, _empty(0x80) * 9),
        Stream("version 2", GREETING_DUE, frame(FrameType.INFO, b"P2PN\x02\x00\x80")),
        Stream("weight not a number", GREETED, _model_of(weight=float("nan"))),
        Stream("model too large", GREETED, _model_of(params=2**40)),
        Stream("model without end", GREETED, _model_of(params=2**64 - 1)),
    ]
    return found


MAPS = (
    FrameType.HEARTBEAT,
    FrameType.MESSAGE,
    FrameType.OFFER,
    FrameType.ACCEPT,
    FrameType.REJECT,
    FrameType.RECEIPT,
    FrameType.GOODBYE,
)
STATES = (OPENING, GREETING_DUE, GREETED)
BAD_MAPS: Mapping[str, bytes] = {
    "without anything": b"\x80",
    "of a number": b"\x01",
    "twice the same key": b"\x82\xa4code\xa1a\xa4code\xa1b",
    "a key that is no text": b"\x81\x01\xa1a",
    "four thousand million entries": b"\xdf\xff\xff\xff\xff",
    "four thousand million items": b"\x81\xa4code\xdd\xff\xff\xff\xff",
    "four gigabytes of text": b"\x81\xa4code\xdb\xff\xff\xff\xff",
    "an extension": b"\x81\xa4code\xd4\x03\x00",
    "a time": b"\x81\xa4code\xd6\xff\x00\x00\x00\x00",
    "no UTF-8": b"\x81\xa4code\xa2\xff\xff",
    "two thousand lists": b"\x81\xa4code" + b"\x91" * 2000,
    "something behind it": b"\x80\x00",
    "a piece of it": b"\x81\xa4co",
    "never used": b"\xc1",
    "nothing": b"",
}


def _credentials(name: str) -> Credentials:
    return Credentials(someone(name), NETWORK, (1, 0))


def _admission() -> Admission:
    return Admission(Trust(NOBODY, NOBODY), network_key=NETWORK_KEY)


def _huge(number: int) -> bytes:
    return b"\xff\xff\xff\xff" + bytes([number, 0, 0, 0])


def _empty(number: int) -> bytes:
    return bytes([0, 0, 0, 0, number, 0, 0, 0])


def _model_of(**changes: float) -> bytes:
    model = {"age": 1, "weight": 1.0, "params": PARAMETERS} | changes
    values = {"kind": "model", "round": 1, "roster": b"", "start": 1, "sequence": 1, "model": model}
    return frame(FrameType.OFFER, pack(values))
