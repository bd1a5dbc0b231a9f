"""A probe learns what a link would, and leaves no trace but a line in the other side's log."""

import asyncio
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from p2pfl.errors import P2PError, RemoteError, TransportError
from p2pfl.identity.handshake import Credentials
from p2pfl.transports.probe import PROBE, Probed, probe
from p2pfl.transports.tls import Security
from p2pfl.trust import Trust
from p2pfl.wire.limits import Limits
from p2pfl.wire.packets import Greeting
from tests.p2pfl.identities import NOBODY, Files, ids, someone
from tests.p2pfl.transports.ends import End, World, world_of
from tests.p2pfl.wire.samples import greeting

QUICK = Limits(connect_s=1.0, handshake_s=0.3)
FRIENDS = Trust(ids("anna"), NOBODY)  # accepts her models, shares none
Outcome = tuple[Probed | P2PError, End]


def ours(words: str = "ring") -> Greeting:
    return replace(greeting("anna", words), id=someone("anna").id)


def looked(
    world: World, *, anna: Security, bert: Trust, mine: Greeting | None = None, peer: str = ""
) -> Outcome:
    """What anna's probe of bert, who trusts like that, gives."""

    async def story() -> Outcome:
        words = world.greeting("bert")
        end = await world.end(words, security=Files(world.folder).security("bert", trust=bert))

        def look() -> Probed | P2PError:
            try:
                return probe(end.address, anna, mine or ours(), peer=peer, limits=Limits())
            except (RemoteError, TransportError) as error:
                return error

        found = await asyncio.to_thread(look)
        await end.until(lambda: bool(end.denied) or isinstance(found, P2PError))
        return found, end

    return world.run(story)


def anna_who_knows_bert(folder: Path) -> Security:
    return Files(folder).security("anna", trust=Trust(ids("bert"), NOBODY))


def test_a_probe_hears_the_greeting_and_makes_no_link() -> None:
    with world_of("tls", "asyncio") as world:
        found, bert = looked(world, anna=anna_who_knows_bert(world.folder), bert=FRIENDS)

    assert isinstance(found, Probed)
    assert found.greeting.id == someone("bert").id
    assert (found.greeting.accepts_you, found.greeting.shares_with_you) == (True, False)
    assert 0 < found.connect_s < 1
    assert bert.links == []
    assert [code for code, _ in bert.denied] == [PROBE]


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("not_admitted", lambda world: {"bert": Trust(NOBODY, NOBODY)}),
        ("not_listed", lambda world: {"anna": Files(world.folder).security("anna")}),
        ("wrong_key", lambda world: {"peer": someone("cleo").id}),
        ("wrong_plan", lambda world: {"mine": ours("star")}),
        ("wrong_network", lambda world: {"anna": _of_another_network(world)}),
        ("wrong_version", lambda world: {"anna": _of_another_version(world)}),
    ],
)
def test_a_probe_is_refused_as_the_node_would_be(
    code: str, change: Callable[[World], dict[str, object]]
) -> None:
    with world_of("tls", "asyncio") as world:
        chosen: dict[str, object] = {"anna": anna_who_knows_bert(world.folder), "bert": FRIENDS}
        found, bert = looked(world, **(chosen | change(world)))  # type: ignore[arg-type]

    assert isinstance(found, RemoteError)
    assert found.code == code
    assert bert.links == []


def _of_another_network(world: World) -> Security:
    trust = Trust(ids("bert"), NOBODY)
    return Files(world.folder).security("anna", trust=trust, network=b"o" * 32)


def _of_another_version(world: World) -> Security:
    found = anna_who_knows_bert(world.folder)
    mine = found.credentials
    return replace(found, credentials=Credentials(mine.identity, mine.network, (9, 0)))


def test_nobody_and_somebody_who_does_not_speak_tls_are_told_apart(tmp_path: Path) -> None:
    anna = anna_who_knows_bert(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(TransportError, match=r"did not greet within 0\.3 s|broke off"):
            probe(address, anna, ours(), limits=QUICK)
    with pytest.raises(TransportError, match="no connection: connection refused"):
        probe(address, anna, ours(), limits=QUICK)
    with pytest.raises(TransportError, match="cannot be resolved"):
        probe("tcp://no-such-host.invalid:1", anna, ours(), limits=QUICK)


def test_a_node_in_mode_open_has_no_tls() -> None:
    with world_of("tcp", "asyncio") as world:

        async def story() -> P2PError:
            end = await world.end("bert")
            anna = anna_who_knows_bert(world.folder)
            with pytest.raises(P2PError) as caught:
                await asyncio.to_thread(probe, end.address, anna, ours(), limits=Limits())
            return caught.value

        found = world.run(story)

    assert isinstance(found, RemoteError | TransportError)
