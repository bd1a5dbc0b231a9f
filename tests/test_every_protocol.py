"""What holds for every registered exchange protocol, whatever the network does to its messages."""

import json
import subprocess
import sys
from dataclasses import replace
from functools import partial
from typing import cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pfl import registry
from p2pfl.errors import ConfigError
from p2pfl.events import (
    MAX_FIELD_BYTES,
    MAX_FIELDS,
    Effect,
    Event,
    PeersChanged,
    Received,
    Send,
    Started,
    View,
)
from p2pfl.model import Snapshot
from p2pfl.protocols.merge_gate import UntrustedMergeError
from p2pfl.protocols.protocol import ExchangeProtocol, Setup
from p2pfl.protocols.push_sum import PushSum
from p2pfl.protocols.push_sum_inbox import Inbox
from p2pfl.protocols.round_buffer import RoundBuffer
from p2pfl.protocols.token_holder import TokenHolder
from tests.examples import examples
from tests.p2pfl.protocols.driver import Driver, Graph, full_mesh, line, ring, setup_of, star, view_of

MEMBERS = "abcde"
ROUNDS = 11
GRAPHS = {
    "ring": ring(MEMBERS),
    "one-way ring": ring(MEMBERS, undirected=False),
    "full mesh": full_mesh(MEMBERS),
    "star": star(MEMBERS),
    "line": line(MEMBERS),
}
FORBIDDEN = ["asyncio", "socket", "ssl", "threading", "time", "random", "logging", "torch", "networkx"]


@pytest.fixture(params=registry.names("protocol"))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def make(name: str, setup: Setup) -> ExchangeProtocol:
    item = cast(type, registry.resolve("protocol", name))
    return cast(ExchangeProtocol, item(setup))


def words(effects: list[Effect]) -> list[object]:
    """Effects as plain values, arrays as bytes, so that they can be compared."""
    return [plain(effect) for effect in effects]


def plain(value: object) -> object:
    if isinstance(value, np.ndarray):
        return value.tobytes()
    if hasattr(value, "__dataclass_fields__"):
        fields = value.__dataclass_fields__
        return (type(value).__name__, *(plain(getattr(value, field)) for field in fields))
    if isinstance(value, tuple):
        return tuple(plain(each) for each in value)
    return {k: plain(v) for k, v in value.items()} if isinstance(value, dict) else value


def copied(snapshot: Snapshot) -> Snapshot:
    """A snapshot as a disk gives it back: equal values, other objects."""
    arrays = {key: array.copy() for key, array in snapshot.arrays.items()}
    return Snapshot(dict(snapshot.values), arrays)


@pytest.fixture(scope="module")
def brought() -> dict[str, list[str]]:
    """What is forbidden among the modules that each protocol brings to those before it, in one process."""
    names = registry.names("protocol")
    modules = {name: registry.TABLES["protocol"][name].partition(":")[0] for name in names}
    code = (
        "import sys, json, numpy\n"
        "before, brought = set(sys.modules), {}\n"
        f"for name, module in {modules!r}.items():\n"
        "    __import__(module)\n"
        "    new = {m.partition('.')[0] for m in set(sys.modules) - before}\n"
        f"    brought[name] = sorted(new & set({FORBIDDEN!r}))\n"
        "print(json.dumps(brought))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert found.stderr == ""
    return {str(name): forbidden for name, forbidden in json.loads(found.stdout).items()}


def test_it_knows_no_clock_no_network_no_file(name: str, brought: dict[str, list[str]]) -> None:
    assert brought[name] == []


def test_unknown_options_are_refused(name: str) -> None:
    item = cast(type, registry.resolve("protocol", name))

    with pytest.raises(ConfigError, match="unknown option"):
        registry.check_options("protocol", name, item, options={"no_such_option": 1})


@pytest.mark.parametrize("graph", GRAPHS.values(), ids=list(GRAPHS))
def test_all_finish_their_budget_and_the_same_seed_gives_the_same_bytes(name: str, graph: Graph) -> None:
    first = Driver(partial(make, name), graph, MEMBERS, rounds=ROUNDS, seed=3).run()
    second = Driver(partial(make, name), graph, MEMBERS, rounds=ROUNDS, seed=3).run()

    assert first.is_finished()
    assert first.models() == second.models()
    assert first.sent == second.sent
    assert all(node.finishes == 1 for node in first.nodes.values())
    assert {node.adopted[-1].model.age for node in first.nodes.values()} == {ROUNDS}
    assert {node.adopted[-1].round for node in first.nodes.values()} == {ROUNDS}


@examples(60)
@given(
    seed=st.integers(0, 10_000),
    name=st.sampled_from(registry.names("protocol")),
    graph=st.sampled_from(["ring", "full mesh", "one-way ring"]),
    dead=st.sampled_from(["", "b", "d"]),
    jitter_s=st.sampled_from([0.0, 0.4, 20.0]),
)
def test_it_ends_though_messages_are_lost_doubled_and_late_and_a_node_is_dead(
    seed: int, name: str, graph: str, dead: str, jitter_s: float
) -> None:
    # A one-way ring that lacks a member leads nowhere: there all are alive.
    down = "" if graph == "one-way ring" else dead
    driver = Driver(
        partial(make, name),
        GRAPHS[graph],
        MEMBERS,
        rounds=ROUNDS,
        down=down,
        seed=seed,
        loss=0.3,
        duplicate=0.3,
        jitter_s=jitter_s,
    )

    driver.run()  # asserts one Train at a time, ages that never fall and stay in the budget, declared edges

    assert driver.is_finished()
    for array, as_it_was in driver.arrays:
        assert array.tobytes() == as_it_was


@examples(60)
@given(
    seed=st.integers(0, 10_000),
    name=st.sampled_from(registry.names("protocol")),
    crash_s=st.floats(0.5, 20),
    victim=st.sampled_from(MEMBERS),
)
def test_it_ends_for_all_when_one_is_killed_and_comes_back(
    seed: int, name: str, crash_s: float, victim: str
) -> None:
    driver = Driver(partial(make, name), full_mesh(MEMBERS), MEMBERS, rounds=ROUNDS, seed=seed)
    driver.run(until=lambda: driver.now_s >= crash_s or driver.is_finished())
    stored = driver.crash(victim)
    driver.run(until=lambda: driver.now_s >= crash_s + 2.5 or driver.is_finished())
    driver.restart(victim, stored)

    driver.run()

    assert driver.is_finished()


def test_a_restored_snapshot_gives_the_same_effects(name: str) -> None:
    driver = Driver(partial(make, name), ring(MEMBERS), MEMBERS, rounds=ROUNDS)
    checked = 0
    for stop_s in np.arange(0.5, 14, 0.5):
        driver.run(until=lambda stop_s=stop_s: driver.now_s >= stop_s or driver.is_finished())  # type: ignore[misc]
        for member, node in driver.nodes.items():
            if node.stored is None:
                continue
            results = []
            for snapshot in (node.stored, copied(node.stored)):
                protocol = make(name, setup_of(member, ROUNDS))
                protocol.restore(snapshot)
                assert plain(copied(protocol.snapshot())) == plain(copied(snapshot))
                effects = protocol.handle(PeersChanged(driver.view(member)), 0.0)
                results.append(words(effects + protocol.handle(Started(), 0.0)))
                assert results[-1], f"{member} restored at {stop_s} s has nothing to do"
            assert results[0] == results[1]
            checked += 1
    assert checked > 20


def test_a_run_with_a_restart_of_everybody_gives_the_same_bytes(name: str) -> None:
    undisturbed = Driver(partial(make, name), ring(MEMBERS), MEMBERS, rounds=ROUNDS).run()
    driver = Driver(partial(make, name), ring(MEMBERS), MEMBERS, rounds=ROUNDS)
    driver.run(until=lambda: all(node.stored is not None for node in driver.nodes.values()))

    driver.queue.clear()  # the power fails everywhere at once
    for member, node in driver.nodes.items():
        stored = node.stored
        assert stored is not None
        protocol = make(name, setup_of(member, ROUNDS))
        protocol.restore(copied(stored))
        node.protocol, node.is_training, node.timers = protocol, False, {}
        driver.feed(member, PeersChanged(driver.view(member)))
        driver.push(0.0, member, Started())
    driver.run()

    assert driver.is_finished()
    assert driver.models() == undisturbed.models()


class Revoking(Driver):
    """Trust may end: as a ``Node`` does, it lets no more arrays in and says so in the view."""

    barred: frozenset[tuple[str, str]] = frozenset()  # (member, whom it trusts no more)

    def view(self, member: str) -> View:
        view = super().view(member)
        revoked = frozenset(other for me, other in self.barred if me == member)
        return replace(view, accepted=view.accepted - revoked, refused=revoked)

    def feed(self, member: str, event: Event) -> None:
        if isinstance(event, Received) and event.message.has_arrays and (member, event.sender) in self.barred:
            return
        super().feed(member, event)

    def revoke(self, member: str, other: str) -> None:
        self.barred |= {(member, other)}
        self.feed(member, PeersChanged(self.view(member)))


def revoking(name: str, stop_s: float, kind: type[Revoking] = Revoking) -> Revoking:
    """A run in which ``a`` is slow, so that the models of others wait there."""
    driver = kind(partial(make, name), full_mesh(MEMBERS), MEMBERS, rounds=ROUNDS, train_s={"a": 3.0})
    driver.run(until=lambda: driver.queue[0][0] >= stop_s)
    return driver


def had(protocol: ExchangeProtocol, sender: str) -> float:
    """What push-sum has had of a sender; nothing in the other protocols."""
    return protocol.mass()[2].get(sender, 0.0) if isinstance(protocol, PushSum) else 0.0


def test_a_model_buffered_before_its_sender_was_revoked_is_never_merged(name: str) -> None:
    dropped = 0
    for stop_s in np.arange(1.7, 14.0, 1.0):
        for other in "be":
            driver, as_ever = revoking(name, stop_s), revoking(name, stop_s)
            node, twin = driver.nodes["a"], as_ever.nodes["a"]
            adopted, mass = len(node.adopted), had(node.protocol, other)
            driver.revoke("a", other)
            driver.run(until=lambda driver=driver, stop_s=stop_s: driver.now_s > stop_s + 4)  # type: ignore[misc]
            as_ever.run(until=lambda driver=as_ever, stop_s=stop_s: driver.now_s > stop_s + 4)  # type: ignore[misc]

            later = [other in adopt.merged for adopt in node.adopted[adopted:]]
            # A round of push-sum names all that it merged, also before trust ended: there the mass tells.
            assert not any(later[isinstance(node.protocol, PushSum) :])
            assert had(node.protocol, other) == mass
            dropped += any(other in adopt.merged for adopt in twin.adopted[adopted : adopted + 1])
    assert dropped > 1  # cases in which something would have been merged


def test_a_protocol_that_forgets_to_drop_a_revoked_model_is_stopped_at_the_merge(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for owner, method in ((RoundBuffer, "keep_only"), (Inbox, "keep_only"), (TokenHolder, "_drop_revoked")):
        monkeypatch.setattr(owner, method, lambda *_: [])

    class Forgetful(Revoking):
        def view(self, member: str) -> View:
            return replace(super().view(member), accepted=frozenset(MEMBERS))

    stopped = 0
    for stop_s in np.arange(2.0, 14.0, 1.0):
        driver = revoking(name, stop_s, Forgetful)
        driver.barred = frozenset(("a", other) for other in "bcde")
        try:
            driver.feed("a", PeersChanged(driver.view("a")))
            driver.run(until=lambda driver=driver, stop_s=stop_s: driver.now_s > stop_s + 4)  # type: ignore[misc]
        except UntrustedMergeError:
            stopped += 1
    assert stopped > 2


def test_messages_keep_to_the_declared_bodies_and_limits(name: str) -> None:
    item = cast(ExchangeProtocol, registry.resolve("protocol", name))
    seen: list[Send] = []

    class Listening(Driver):
        def send(self, sender: str, send: Send) -> None:
            seen.append(send)
            super().send(sender, send)

    Listening(partial(make, name), ring(MEMBERS), MEMBERS, rounds=ROUNDS).run()

    assert any(send.message.model is not None or send.message.body for send in seen)
    for send in seen:
        message = send.message
        arrays = [*message.body, *([] if message.model is None else [message.model.params])]
        count, dtype = item.bodies.get(message.kind, (0, ""))
        assert len(arrays) == count
        assert all(array.dtype == dtype for array in arrays)
        assert len(message.fields) <= MAX_FIELDS
        assert all(len(str(value)) <= MAX_FIELD_BYTES for value in message.fields.values())


def test_words_from_strangers_change_nothing(name: str) -> None:
    seen: list[Received] = []

    class Listening(Driver):
        def send(self, sender: str, send: Send) -> None:
            seen.append(Received("x", send.message))
            super().send(sender, send)

    Listening(partial(make, name), ring(MEMBERS), MEMBERS, rounds=ROUNDS).run()
    protocol = make(name, setup_of("c", ROUNDS))
    protocol.handle(PeersChanged(view_of("c", ring(MEMBERS), MEMBERS)), 0.0)
    protocol.handle(Started(), 0.0)
    before = plain(protocol.snapshot())

    assert [protocol.handle(event, 0.0) for event in seen] == [[]] * len(seen)
    assert plain(protocol.snapshot()) == before
