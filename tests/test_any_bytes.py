"""Any bytes are a value or the error that is meant for them, whatever reads the bytes of others.

The receiving half of a link as a whole stands in ``tests/p2pfl/wire/test_inbound.py``.
"""

import asyncio
import io
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from ssl import PEM_cert_to_DER_cert
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node_daemon.checkpoint_file import encode, read_facts
from node_daemon.control import ControlServer
from node_daemon.trust_file import read_trust
from p2pfl.discovery.addresses import parse_address as parse_written
from p2pfl.discovery.discovery import Announcement
from p2pfl.discovery.records import encode_txt, parse_txt
from p2pfl.errors import ConfigError, P2PError, RemoteError, StateError, TransportError
from p2pfl.identity.certificate import certificate_pem, key_in_certificate
from p2pfl.identity.keys import from_pem, parse_id, to_pem
from p2pfl.identity.ticket import Ticket, decode_ticket, encode_ticket
from p2pfl.model import Checkpoint, Model, Snapshot
from p2pfl.transports.addresses import as_dialled, parse_address
from p2pfl.wire.framing import HEADER_BYTES, FrameType
from p2pfl.wire.gate import host_of
from p2pfl.wire.heartbeat_codec import decode_heartbeat
from p2pfl.wire.link_codec import decode_goodbye, decode_greeting, decode_refused
from p2pfl.wire.message_codec import decode_message, decode_offer
from p2pfl.wire.offer_codec import decode_accept, decode_receipt, decode_reject
from p2pfl.wire.ping import decode_ping
from p2pfl.wire.record import unpack
from tests.corpus.replay import read
from tests.corpus.samples import client, server
from tests.examples import examples
from tests.node_daemon.conftest import write_private
from tests.p2pfl.identities import NETWORK, NETWORK_KEY, someone
from tests.p2pfl.wire.samples import SCHEMA, model

ANNA = someone("anna")
SAMPLES = {
    kind: [line.stream.data[HEADER_BYTES:] for line in read("valid") if line.type == kind.name]
    for kind in FrameType
}
NOTE = SAMPLES[FrameType.MESSAGE][0]
TICKET = encode_ticket(
    Ticket("lab", ANNA.id, ("tcp://10.0.0.1:7964",), NETWORK_KEY, {"topology.name": "ring"})
)
TRUST = f'version = 1\nmode = "list"\naccept_from = ["{ANNA.id}"]\n[names]\nanna = "{ANNA.id}"\n'
CHECKPOINT = encode(
    Checkpoint(Model(model().params, 3), {}, Snapshot({"hop": 1, "mark": b"x"}, {}), 4), plan=b"p", sequence=1
)


def text_of(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def control_line(data: bytes) -> None:
    async def nothing(_: Mapping[str, object]) -> Mapping[str, object]:
        return {}

    asyncio.run(ControlServer(Path("unused"), {"status": nothing})._run(data))  # type: ignore[dict-item]


def header_of(data: bytes) -> None:
    read_facts(cast(io.BufferedReader, io.BytesIO(data)), len(data))


def welcomed(data: bytes) -> None:
    anna = client()
    anna.auth(server().hello())
    anna.welcomed(data)


# What reads it, the error that it may raise, and bytes that are in order.
READERS: Mapping[str, tuple[Callable[[bytes], object], type[P2PError], bytes]] = {
    "msgpack": (unpack, RemoteError, NOTE),
    "hello": (lambda data: client().auth(data), RemoteError, SAMPLES[FrameType.HELLO][0]),
    "auth": (lambda data: server().welcome(data), RemoteError, SAMPLES[FrameType.AUTH][0]),
    "welcome": (welcomed, RemoteError, SAMPLES[FrameType.WELCOME][0]),
    "refused": (decode_refused, RemoteError, SAMPLES[FrameType.REFUSED][0]),
    "greeting": (decode_greeting, RemoteError, SAMPLES[FrameType.INFO][0]),
    "heartbeat": (decode_heartbeat, RemoteError, SAMPLES[FrameType.HEARTBEAT][-1]),
    "goodbye": (decode_goodbye, RemoteError, SAMPLES[FrameType.GOODBYE][0]),
    "message": (decode_message, RemoteError, NOTE),
    "offer": (lambda data: decode_offer(data, SCHEMA), RemoteError, SAMPLES[FrameType.OFFER][0]),
    "accept": (decode_accept, RemoteError, SAMPLES[FrameType.ACCEPT][0]),
    "reject": (decode_reject, RemoteError, SAMPLES[FrameType.REJECT][0]),
    "receipt": (decode_receipt, RemoteError, SAMPLES[FrameType.RECEIPT][0]),
    "ping": (decode_ping, RemoteError, SAMPLES[FrameType.PING][0]),
    "certificate": (key_in_certificate, RemoteError, PEM_cert_to_DER_cert(certificate_pem(ANNA).decode())),
    "record of the local network": (
        parse_txt,
        RemoteError,
        encode_txt(Announcement(ANNA.id, NETWORK, "127.0.0.1", 7964)),
    ),
    "private key": (from_pem, ConfigError, to_pem(ANNA)),
    "node id": (lambda data: parse_id(text_of(data)), ConfigError, ANNA.id.encode()),
    "ticket": (lambda data: decode_ticket(text_of(data)), ConfigError, TICKET.encode()),
    "address": (lambda data: parse_address(text_of(data)), TransportError, b"tcp://[::1]:7964"),
    "written address": (lambda data: parse_written(text_of(data)), ConfigError, b"tcp://[fe80::1]:7964"),
    "host": (lambda data: host_of(text_of(data)), RemoteError, b"tcp://[fe80::1%eth0]:7964"),
    "announced address": (
        lambda data: as_dialled(text_of(data), "tcp://10.0.0.1:1"),
        RemoteError,
        b"tcp://0.0.0.0:7964",
    ),
    "checkpoint header": (header_of, StateError, CHECKPOINT),
    "control line": (control_line, P2PError, b'{"command": "status", "arguments": {"a": [1]}}\n'),
}


@st.composite
def bent(draw: st.DrawFn, whole: bytes) -> bytes:
    """Noise, or the right bytes with a piece replaced."""
    if draw(st.booleans()):
        return draw(st.binary(max_size=200))
    start = draw(st.integers(0, len(whole)))
    end = start + draw(st.integers(0, 6))
    return whole[:start] + draw(st.binary(max_size=6)) + whole[end:]


@pytest.mark.parametrize("what", list(READERS))
def test_what_is_in_order_is_read(what: str) -> None:
    reader, _, whole = READERS[what]
    reader(whole)


def try_to_read(what: str, data: st.DataObject) -> None:
    reader, error, whole = READERS[what]
    found = data.draw(bent(whole))
    with suppress(error):
        reader(found)


@pytest.mark.parametrize("what", list(READERS))
@examples(25)
@given(data=st.data())
def test_any_bytes_are_a_value_or_the_error_that_is_meant_for_them(what: str, data: st.DataObject) -> None:
    try_to_read(what, data)


@pytest.mark.slow
@pytest.mark.parametrize("what", list(READERS))
@examples(250)
@given(data=st.data())
def test_many_more_bytes_are_too(what: str, data: st.DataObject) -> None:
    try_to_read(what, data)


@pytest.mark.parametrize(
    ("what", "deep"),
    [("control line", b"[" * 60_000), ("checkpoint header", (60_000).to_bytes(8, "little") + b"[" * 60_000)],
)
def test_lists_within_lists_without_end_are_refused(what: str, deep: bytes) -> None:
    reader, error, _ = READERS[what]

    with pytest.raises(error):
        reader(deep)


@examples(25)
@given(data=st.data())
def test_any_trust_file_is_lists_or_a_config_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("trust", numbered=True) / "trust.toml"
    write_private(path, "")
    path.write_bytes(data.draw(bent(TRUST.encode())))
    with suppress(ConfigError):
        read_trust(path)
