"""Who cannot prove what must be proved is refused with the right code, and has heard nothing by then.

The rest of the table stands in ``test_tls.py``: another key than was meant, plain text, an older TLS, an
expired certificate round the right key, a proof recorded from another connection.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from p2pfl.errors import RemoteError
from p2pfl.identity.handshake import AUTH, ClientHandshake
from p2pfl.identity.keys import network_id
from p2pfl.transports.addresses import format_address
from p2pfl.transports.tls import ALPN, Security
from p2pfl.trust import Trust
from p2pfl.wire.framing import FrameType, frame
from p2pfl.wire.link_codec import decode_refused
from tests.p2pfl.identities import NETWORK, ids, someone
from tests.p2pfl.transports.callers import Caller, refused_with
from tests.p2pfl.transports.channels import all_heard, elliptic_certificate
from tests.p2pfl.transports.ends import DEADLINE_S, World, world_of

SMALL_ORDER = bytes([1]) + bytes(31)


@pytest.fixture(params=["asyncio", "uvloop"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    with world_of("tls", request.param) as found:
        yield found


def proof(hers: Security, hello: bytes, server: str = "bert", **changes: object) -> bytes:
    """Anna's proof for a server, made as somebody else where ``changes`` say so."""
    mine = replace(hers.credentials, **changes)  # type: ignore[arg-type]  # each is a field of it
    key = mine.key if server == "anna" else replace(mine, identity=someone(server)).key
    return ClientHandshake(mine, hers.admission, server=key, nonce=bytes(32)).auth(hello)


def with_key(auth: bytes, key: bytes) -> bytes:
    place = AUTH.size - 64 - 32 - 32
    return auth[:place] + key + auth[place + 32 :]


# What a client says in place of a proof, and the code that it is refused with.
CASES: Mapping[str, tuple[Callable[[Security, bytes], bytes], str]] = {
    "forged signature": (lambda hers, hello: proof(hers, hello)[:-64] + bytes(64), "bad_signature"),
    "key of another": (
        lambda hers, hello: with_key(
            proof(hers, hello), replace(hers.credentials, identity=someone("cleo")).key
        ),
        "bad_signature",
    ),
    "key of small order": (lambda hers, hello: with_key(proof(hers, hello), SMALL_ORDER), "weak_key"),
    "key of the server": (
        lambda hers, hello: with_key(
            proof(hers, hello), replace(hers.credentials, identity=someone("bert")).key
        ),
        "own_id",
    ),
    "proof for another server": (lambda hers, hello: proof(hers, hello, "cleo"), "bad_signature"),
    "other nonce": (lambda hers, hello: proof(hers, hello[:-1] + bytes([hello[-1] ^ 1])), "bad_signature"),
    "other network": (lambda hers, hello: proof(hers, hello, network=network_id("other")), "wrong_network"),
    "network changed afterwards": (
        lambda hers, hello: (
            (auth := proof(hers, hello, network=network_id("other")))[:6] + NETWORK + auth[38:]
        ),
        "bad_signature",
    ),
    "other major version": (lambda hers, hello: b"P2PN\x02" + proof(hers, hello)[5:], "wrong_version"),
    "minor version changed": (
        lambda hers, hello: (auth := proof(hers, hello))[:5] + b"\x07" + auth[6:],
        "bad_signature",
    ),
    "downgraded greeting": (
        lambda hers, hello: proof(hers, hello[:5] + b"\x09" + hello[6:]),
        "bad_signature",
    ),
    "too short": (lambda hers, hello: proof(hers, hello)[:-1], "malformed"),
    "a stranger": (lambda hers, hello: proof(hers, hello, identity=someone("cleo")), "not_admitted"),
}


@pytest.mark.parametrize("case", list(CASES))
def test_whoever_proves_too_little_is_refused_with_the_right_code_and_nothing_else(
    world: World, case: str
) -> None:
    his = world.files.security("bert", trust=Trust(ids("anna"), ids("anna")))
    hers = world.files.security("anna", trust=Trust(ids("bert"), ids("bert")))
    says, code = CASES[case]

    async def story() -> None:
        bert = await world.end("bert", security=his)
        caller = await Caller.calls(bert)
        kind, hello = await caller.frame()
        assert (kind, len(hello)) == (FrameType.HELLO, 38)
        caller.writer.write(frame(FrameType.AUTH, says(hers, hello)))
        kind, payload = await caller.frame()

        assert kind == FrameType.REFUSED
        assert decode_refused(payload).code == code
        assert await caller.rest() == b""
        await refused_with(bert, code)
        assert list(his.admission.pending) == ([someone("cleo").id] if case == "a stranger" else [])

    world.run(story)


def test_a_man_in_the_middle_cannot_use_the_proof_that_he_is_given(world: World) -> None:
    """Cleo, whom Anna lists too, hands Bert's greeting on to her and her proof on to Bert."""
    his = world.files.security("bert", trust=Trust(ids("anna"), ids("anna")))
    hers = world.files.security("anna", trust=Trust(ids("bert", "cleo"), ids("bert", "cleo")))

    async def story() -> None:
        bert = await world.end("bert", security=his)
        caller = await Caller.calls(bert)
        _, hello = await caller.frame()
        relayed = ClientHandshake(
            hers.credentials,
            hers.admission,
            server=world.files.security("cleo").credentials.key,
            nonce=bytes(32),
        ).auth(hello)
        caller.writer.write(frame(FrameType.AUTH, relayed))
        _, payload = await caller.frame()

        assert decode_refused(payload).code == "bad_signature"
        await caller.rest()
        await refused_with(bert, "bad_signature")

    world.run(story)


def thief(folder: Path) -> ssl.SSLContext:
    """A server that shows a certificate without its key: another, with the public half of the right one."""
    owner, own = generate_private_key(SECP256R1()), generate_private_key(SECP256R1())
    false = private(own).replace(point(own), point(owner))
    certificate, key = folder / "shown.pem", folder / "false.der"
    certificate.write_bytes(elliptic_certificate(owner))
    key.write_bytes(ssl.DER_cert_to_PEM_cert(false).replace("CERTIFICATE", "EC PRIVATE KEY").encode())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols([ALPN])
    return context


def private(key: EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())


def point(key: EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def test_a_certificate_without_its_key_ends_tls_before_anything_is_said(world: World) -> None:
    context = thief(world.folder)

    async def story() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(DEADLINE_S)
            heard = asyncio.get_running_loop().run_in_executor(None, all_heard, listener, context)
            anna = await world.end("anna")
            with pytest.raises(RemoteError, match="signature") as caught:
                await anna.transport.dial(format_address(*listener.getsockname()))
            assert await heard == b""

        assert caught.value.code == "no_tls"

    world.run(story)
