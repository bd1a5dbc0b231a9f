"""Secure links on real sockets: who is refused, with which words, and what it has heard by then."""

import asyncio
import socket
import ssl
from collections.abc import Iterator

import pytest

from p2pfl.errors import ConfigError, RemoteError
from p2pfl.identity.handshake import ClientHandshake
from p2pfl.identity.keys import network_id
from p2pfl.transports.addresses import format_address, parse_address
from p2pfl.transports.tls import Security, make_security
from p2pfl.transports.tls_door import TlsDoor
from p2pfl.trust import Trust
from p2pfl.wire.framing import FrameType, frame
from p2pfl.wire.limits import Limits
from p2pfl.wire.link_codec import decode_refused, encode_greeting
from p2pfl.wire.packets import Envelope
from tests.p2pfl.identities import NETWORK_KEY, NOBODY, ids, someone
from tests.p2pfl.transports.callers import Caller, refused_with
from tests.p2pfl.transports.channels import all_heard, elliptic_server, write_expired
from tests.p2pfl.transports.ends import DEADLINE_S, World, world_of
from tests.p2pfl.wire.samples import greeting, note


@pytest.fixture(params=["asyncio", "uvloop"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    with world_of("tls", request.param) as found:
        yield found


def listing(*names: str) -> Trust:
    return Trust(ids(*names), ids(*names))


def test_a_peer_is_known_by_the_key_that_it_has_proved_whatever_it_says(world: World) -> None:
    async def story() -> None:
        bert = await world.end("bert")
        liar = await world.end(
            greeting("cleo"), security=world.files.security("anna", network_key=NETWORK_KEY)
        )
        await liar.transport.dial(bert.address)
        await bert.until(lambda: bool(bert.links))

        assert bert.link.peer.id == someone("anna").id

    world.run(story)


def test_both_sides_hear_whether_they_are_accepted_and_shared_with(world: World) -> None:
    """Anna gives to Bert and wants nothing of him; he lists her alike."""
    hers = world.files.security("anna", trust=Trust(NOBODY, ids("bert")))
    his = world.files.security("bert", trust=Trust(ids("anna"), NOBODY))

    async def story() -> None:
        anna, bert = await world.end("anna", security=hers), await world.end("bert", security=his)
        await anna.transport.dial(bert.address, someone("bert").id)
        await bert.until(lambda: bool(bert.links))

        assert (anna.link.peer.accepts_you, anna.link.peer.shares_with_you) == (True, False)
        assert (bert.link.peer.accepts_you, bert.link.peer.shares_with_you) == (False, True)

    world.run(story)


def test_a_server_with_another_key_than_was_meant_hears_nothing(world: World) -> None:
    async def story() -> None:
        anna, cleo = await world.end("anna"), await world.end("cleo")
        with pytest.raises(RemoteError, match="not") as caught:
            await anna.transport.dial(cleo.address, someone("bert").id)

        assert caught.value.code == "wrong_key"
        assert anna.links == cleo.links == []
        assert cleo.denied == []

    world.run(story)


@pytest.mark.parametrize("case", ["another key", "not listed", "ourselves", "another kind of key"])
def test_nothing_is_sent_to_a_server_that_is_not_the_right_one(world: World, case: str) -> None:
    """The server here is a bare TLS socket that counts what it is told."""
    names = {"another key": "cleo", "not listed": "cleo", "ourselves": "anna", "another kind of key": "cleo"}
    wanted = {"another key": someone("bert").id}
    shown = world.files.security(names[case])
    context = shown.server
    if case == "another kind of key":
        context = elliptic_server(world.folder / "elliptic.pem")
    mine = world.files.security("anna", trust=listing("bert"))

    async def story() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(DEADLINE_S)
            heard = asyncio.get_running_loop().run_in_executor(None, all_heard, listener, context)
            anna = await world.end("anna", security=mine)
            with pytest.raises(RemoteError) as caught:
                await anna.transport.dial(format_address(*listener.getsockname()), wanted.get(case, ""))
            assert await heard == b""

        codes = {"another key": "wrong_key", "not listed": "not_listed", "ourselves": "own_id"}
        assert caught.value.code == codes.get(case, "wrong_key")
        assert [code for code, _ in anna.denied] == [caught.value.code]

    world.run(story)


def test_a_stranger_hears_only_that_it_is_not_admitted(world: World) -> None:
    his = world.files.security("bert", trust=listing("cleo"))
    hers = world.files.security("anna", trust=listing("bert"))

    async def story() -> None:
        bert = await world.end("bert", security=his)
        anna = await world.end("anna", security=hers)
        with pytest.raises(RemoteError, match=f"p2pnode trust add {someone('anna').id}") as caught:
            await anna.transport.dial(bert.address, someone("bert").id)

        assert caught.value.code == "not_admitted"
        await refused_with(bert, "not_admitted")
        assert list(his.admission.pending) == [someone("anna").id]

    world.run(story)


def test_before_its_proof_a_stranger_is_told_a_version_and_a_nonce_and_then_why_it_fails(
    world: World,
) -> None:
    """A forged signature under a listed key."""
    his = world.files.security("bert", trust=listing("anna"))
    hers = world.files.security("anna", trust=listing("bert"))

    async def story() -> None:
        bert = await world.end("bert", security=his)
        caller = await Caller.calls(bert)
        kind, hello = await caller.frame()
        assert (kind, len(hello), hello[:6]) == (FrameType.HELLO, 38, b"P2PN\x01\x00")
        proof = ClientHandshake(
            hers.credentials, hers.admission, server=his.credentials.key, nonce=bytes(32)
        ).auth(hello)
        caller.writer.write(frame(FrameType.AUTH, proof[:-1] + bytes([proof[-1] ^ 1])))
        kind, payload = await caller.frame()

        assert kind == FrameType.REFUSED
        assert decode_refused(payload).code == "bad_signature"
        assert await caller.rest() == b""
        await refused_with(bert, "bad_signature")

    world.run(story)


def test_a_proof_recorded_from_one_connection_is_refused_at_the_next(world: World) -> None:
    his = world.files.security("bert", trust=listing("anna"))
    hers = world.files.security("anna", trust=listing("bert"))

    async def story() -> None:
        bert = await world.end("bert", security=his)
        first, second = await Caller.calls(bert), await Caller.calls(bert)
        _, hello = await first.frame()
        await second.frame()
        proof = ClientHandshake(
            hers.credentials, hers.admission, server=his.credentials.key, nonce=bytes(32)
        ).auth(hello)
        second.writer.write(frame(FrameType.AUTH, proof))
        _, payload = await second.frame()

        assert decode_refused(payload).code == "bad_signature"
        await second.rest()
        first.writer.close()

    world.run(story)


@pytest.mark.parametrize("case", ["network", "version", "network key"])
def test_a_peer_of_another_kind_is_refused_in_words(world: World, case: str) -> None:
    others = {
        "network": world.files.security("anna", network_key=NETWORK_KEY, network=network_id("other")),
        "version": world.files.security("anna", network_key=NETWORK_KEY, version=(2, 0)),
        "network key": world.files.security("anna", network_key=bytes(32)),
    }
    codes = {"network": "wrong_network", "version": "wrong_version", "network key": "not_admitted"}

    async def story() -> None:
        bert, anna = await world.end("bert"), await world.end("anna", security=others[case])
        with pytest.raises(RemoteError) as caught:
            await anna.transport.dial(bert.address)

        assert caught.value.code == codes[case]
        await refused_with(bert, codes[case])

    world.run(story)


def test_a_server_that_only_pretends_to_have_the_network_key_is_left(world: World) -> None:
    """It lists us, so that it lets us in; we would believe it to be one of ours."""
    pretender = world.files.security("cleo", trust=listing("anna"))

    async def story() -> None:
        cleo, anna = await world.end("cleo", security=pretender), await world.end("anna")
        with pytest.raises(RemoteError) as caught:
            await anna.transport.dial(cleo.address)

        assert caught.value.code == "wrong_network_key"
        assert anna.links == []

    world.run(story)


def test_plain_text_to_a_tls_port_is_refused_and_answered_by_an_alert_at_most(world: World) -> None:
    async def story() -> None:
        bert = await world.end("bert")
        reader, writer = await asyncio.open_connection(*parse_address(bert.address))
        writer.write(encode_greeting(greeting("anna")))
        async with asyncio.timeout(DEADLINE_S):
            heard = await reader.read()
        writer.close()

        assert heard == b"" or heard[0] == 21  # the type of a TLS alert
        await refused_with(bert, "no_tls")

    world.run(story)


def test_tls_to_a_port_in_plain_text_is_an_error_that_says_so(world: World) -> None:
    async def story() -> None:
        anna = await world.end("anna")
        world.kind = "tcp"
        bert = await world.end("bert")
        with pytest.raises(RemoteError, match="mode open") as caught:
            await anna.transport.dial(bert.address)

        assert caught.value.code == "no_tls"

    world.run(story)


def test_a_port_that_is_taken_is_said_and_closing_afterwards_is_quiet(world: World) -> None:
    async def story() -> None:
        bert = await world.end("bert")
        host, port = parse_address(bert.address)
        door = TlsDoor(
            world.files.security("anna"),
            Limits(),
            welcome=lambda _: asyncio.Protocol(),
            knocked=lambda _: True,
            left=lambda *_: None,
        )

        with pytest.raises(OSError, match="in use"):
            door.open(host, port)
        door.close()

    world.run(story)


def test_an_older_tls_is_refused(world: World) -> None:
    async def story() -> None:
        bert = await world.end("bert")
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await Caller.calls(bert, most=ssl.TLSVersion.TLSv1_2)
        await refused_with(bert, "no_tls")

    world.run(story)


def test_another_protocol_inside_tls_is_told_nothing(world: World) -> None:
    async def story() -> None:
        bert = await world.end("bert")
        caller = await Caller.calls(bert, alpn="http/1.1")

        assert await caller.rest() == b""
        await refused_with(bert, "wrong_version")

    world.run(story)


@pytest.mark.parametrize("kind", [FrameType.INFO, FrameType.HELLO, FrameType.WELCOME, FrameType.HEARTBEAT])
def test_any_frame_in_place_of_the_proof_ends_the_connection(world: World, kind: FrameType) -> None:
    async def story() -> None:
        bert = await world.end("bert")
        caller = await Caller.calls(bert)
        await caller.frame()
        caller.writer.write(frame(kind, b"\x80"))
        _, payload = await caller.frame()

        assert decode_refused(payload).code == "unexpected_frame"
        await caller.rest()
        await refused_with(bert, "unexpected_frame")

    world.run(story)


@pytest.mark.parametrize("speaks_tls", [False, True])
def test_who_says_nothing_is_cut_off_after_the_time_for_the_whole_handshake(
    world: World, speaks_tls: bool
) -> None:
    async def story() -> None:
        bert = await world.end("bert", limits=Limits(handshake_s=0.2))
        started_s = asyncio.get_running_loop().time()
        if speaks_tls:
            caller = await Caller.calls(bert)
        else:
            caller = Caller(*await asyncio.open_connection(*parse_address(bert.address)))
        await caller.rest()

        assert asyncio.get_running_loop().time() - started_s < 2
        await refused_with(bert, "handshake_timeout")

    world.run(story)


def test_the_oldest_stranger_gives_way_before_tls_too_and_a_peer_still_gets_in(world: World) -> None:
    async def story() -> None:
        bert = await world.end("bert", limits=Limits(greeting_links=3, loopback_times=1))
        strangers = [socket.create_connection(parse_address(bert.address)) for _ in range(6)]
        await bert.until(lambda: len(bert.denied) >= 3)
        anna = await world.end("anna")
        await anna.transport.dial(bert.address)
        await bert.until(lambda: bool(bert.links))
        for stranger in strangers:
            stranger.close()

        assert {code for code, _ in bert.denied} == {"crowded"}
        anna.link.send(note(3))
        packet = await bert.packet()
        assert isinstance(packet, Envelope)

    world.run(story)


def test_an_expired_certificate_round_the_right_key_is_accepted(world: World) -> None:
    his = world.files.security("bert", network_key=NETWORK_KEY)
    identity = someone("bert")
    certificate = write_expired(world.folder / "expired.pem", identity.private_key)
    old = make_security(
        his.credentials, his.admission, certificate=certificate, key=world.folder / "bert.key"
    )

    async def story() -> None:
        bert, anna = await world.end("bert", security=old), await world.end("anna")
        await anna.transport.dial(bert.address, identity.id)

        assert anna.link.peer.id == identity.id

    world.run(story)


def test_a_certificate_without_its_key_cannot_be_used(world: World) -> None:
    def stolen() -> Security:
        return world.files.security("cleo", certificate_of="bert")

    with pytest.raises(ConfigError, match="TLS cannot use") as caught:
        stolen()
    assert caught.value.exit_code == 7
