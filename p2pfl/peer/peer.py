"""The asyncio driver of one node: carries out what ``p2pfl.node.Node`` decides.

Events are handled one after the other, and effects are carried out in the order in which they come, with
one exception that the vocabulary asks for: after a ``Store`` every later ``Send`` waits until the snapshot is
on disk.  Training and evaluation run in a worker thread; so does the node's own arithmetic once models are
large enough for a merge to stall the loop.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import assert_never

import numpy as np

from p2pfl.discovery.discovery import Announcement, Discovery
from p2pfl.errors import StateError, TransportError
from p2pfl.events import (
    Adopt,
    Finish,
    Send,
    SetTimer,
    Started,
    Store,
    TimerFired,
    Train,
    Trained,
    View,
)
from p2pfl.identity.admission import Admission
from p2pfl.learning.learner import Evaluation, Learner, TrainingState
from p2pfl.membership import (
    HEARTBEAT_TIMER,
    Active,
    Membership,
    Tell,
)
from p2pfl.model import Checkpoint, Model
from p2pfl.node import Node, NodeEffect, NodeInput, Settle
from p2pfl.peer.engine import Engine
from p2pfl.peer.faults import Faults
from p2pfl.peer.linking import members_to_link
from p2pfl.peer.links import Links
from p2pfl.peer.neighbours import Neighbours, Report
from p2pfl.peer.numbering import Numbering
from p2pfl.peer.outgoing import Outgoing
from p2pfl.peer.pings import Echoes
from p2pfl.peer.status import PeerRow, PeerStatus, Tally, peer_rows
from p2pfl.peer.workshop import Workshop
from p2pfl.transports.transport import Transport
from p2pfl.trust import Trust
from p2pfl.wire.limits import Limits
from p2pfl.wire.packets import Envelope, Greeting

OFFLOAD_PARAMETERS = 1_000_000  # from here on the node's arithmetic leaves the event loop's thread


@dataclass(frozen=True, slots=True)
class PeerOptions:
    """How a peer drives its node."""

    evaluate_every: int = 1  # rounds between evaluations; 0 = never
    model: Model | None = None  # the present one, from a checkpoint
    state: TrainingState | None = None  # the learner's, from a checkpoint
    round: int = 0  # finished rounds, from a checkpoint
    limits: Callable[[], Limits] = Limits  # those in force, which may change


@dataclass(frozen=True, slots=True, eq=False)
class Surroundings:
    """What a peer is connected to: the transport, discoveries, the disk, and whoever listens to reports."""

    transport: Transport
    discoveries: Sequence[Discovery]
    store: Callable[[Checkpoint], None]  # blocks; raises StateError
    report: Report  # a dotted event name and its facts
    renumber: Callable[[int], None] = lambda _start: None  # blocks until a start's number is on disk
    admission: Admission | None = None  # with secure links: whom to dial, and who has proved what


class Peer:
    """Runs one ``Node`` on real links until it is stopped."""

    def __init__(
        self,
        node: Node,
        membership: Membership,
        learner: Learner,
        *,
        greeting: Greeting,
        surroundings: Surroundings,
        options: PeerOptions | None = None,
    ) -> None:
        options = options or PeerOptions()
        self.node = node
        self.membership = membership
        self._greeting = greeting
        self._around = surroundings
        self._options = options
        self._tally = Tally(model=options.model or learner.initial(), round=options.round)
        self._workshop = Workshop(learner, options.state or {}, self._training_failed)
        self._outgoing = Outgoing(self._send, surroundings.store, self._disk_changed)
        admission = surroundings.admission
        self._neighbours = Neighbours(
            node,
            self._tally,
            admission,
            put=self._put,
            put_first=self._put_first,
            report=surroundings.report,
            problem=self._report_problem,
        )
        self._links = self._neighbours.links = Links(
            greeting.id,
            surroundings.transport,
            self._neighbours,
            rng=np.random.default_rng(),
            may_dial=None if admission is None else admission.may_dial,
            limits=options.limits,
        )
        is_large = learner.schema.parameters >= OFFLOAD_PARAMETERS
        self._faults = Faults(self._report_problem, self._links.cut, self._crash)
        self._engine = Engine(node, self._carry_out, self._look, faults=self._faults, is_offloaded=is_large)
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._stopping: asyncio.Future[None] | None = None
        self._seen: View | None = None
        # The start is the first incarnation of this process, not one that membership has raised meanwhile.
        self._numbering = self._neighbours.numbering = Numbering(
            greeting.incarnation, surroundings.renumber, surroundings.report
        )

    async def run(self) -> None:
        """Listen, look for peers, and take part until ``stop``; raises ConfigError if it cannot listen."""
        loop = asyncio.get_running_loop()
        self._stopping = loop.create_future()
        loop.set_exception_handler(self._faults.of_loop)
        started: list[Discovery] = []
        try:
            address = await self._links.open(self._greet)
            self._greeting = replace(self._greeting, address=address)
            self._around.report("node.listening", {"address": address})
            await self._discover(address, started)
            self._engine.put(Started())
            await self._stopping
        finally:
            await self._close(started)
            loop.set_exception_handler(None)

    def stop(self) -> None:
        """End ``run``: checkpoint, good-bye, close."""
        if self._stopping is not None and not self._stopping.done():
            self._stopping.set_result(None)

    def pause(self) -> None:
        """Hold back training; the node goes on answering."""
        self._workshop.pause()
        self._around.report("node.paused", {})

    def resume(self) -> None:
        """Train again."""
        self._workshop.resume()
        self._around.report("node.resumed", {})

    @property
    def pending(self) -> Mapping[str, str]:
        """Proved strangers who knocked in vain: id -> address."""
        return {} if self._around.admission is None else self._around.admission.pending

    def change_trust(self, trust: Trust) -> None:
        """Other lists, in force when this returns: links for which they say another thing are cut."""
        self._neighbours.change_trust(trust)

    @property
    def model(self) -> Model:
        """The node's model: what it adopted last."""
        return self._tally.model

    def status(self) -> PeerStatus:
        """This node at a glance."""
        members = len(self.membership.roster)
        linked = len(self.membership.roster.keys() & self._links.linked.keys())
        roster = self.node.roster_hash.hex()
        counts = self._tally.counts() | self.node.counts() | {"link failures": self._faults.count}
        return self._tally.status(self._state(), members=members, linked=linked, roster=roster, counts=counts)

    def peers(self) -> list[PeerRow]:
        """Every other member ever heard of, sorted by id."""
        now_s = asyncio.get_running_loop().time()
        return peer_rows(self.node, self.membership, self._links.linked, tally=self._tally, now_s=now_s)

    async def ping(self, peer: str) -> Echoes:
        """Round trips and throughput of the link to a peer; raises TransportError without link or answer."""
        return await self._links.pings.measure(peer)

    def _put(self, event: NodeInput) -> None:
        self._engine.put(event)

    def _put_first(self, event: NodeInput) -> None:
        self._engine.put_first(event)

    def _state(self) -> str:
        if self._workshop.is_paused:
            return "pausing" if self._workshop.is_training else "paused"
        if self._tally.is_finished:
            return "finished"
        return "running" if self.node.is_running else "waiting"

    def _greet(self) -> Greeting:
        return replace(self._greeting, incarnation=self.membership.incarnation)

    async def _discover(self, address: str, started: list[Discovery]) -> None:
        host, _, port = address.removeprefix("tcp://").rpartition(":")
        is_numbered = port.isdigit()
        announcement = Announcement(
            self._greeting.id, self._greeting.network, host, int(port) if is_numbered else 0
        )
        for discovery in self._around.discoveries:
            try:
                await discovery.start(announcement, self._links.hint)
            except TransportError as error:
                self._report_problem("discovery.failed", {"problem": str(error)})
                continue
            started.append(discovery)

    async def _close(self, discoveries: list[Discovery]) -> None:
        for timer in self._timers.values():
            timer.cancel()
        await self._engine.close()
        await self._workshop.close()
        if self.node.is_running and not self._engine.has_failed:
            self._outgoing.put(self._checkpoint())
        await self._outgoing.flush()
        await self._numbering.close()
        for discovery in discoveries:
            await discovery.close()
        await self._links.close()

    def _crash(self, error: Exception) -> None:
        if self._stopping is not None and not self._stopping.done():
            self._stopping.set_exception(error)

    # What a node's event leads to.

    def _look(self) -> None:
        """Say what was refused, and link whom the graph asks for, once the view has changed."""
        for peer, code in self.node.finite.take_news():
            self._neighbours.note_refused(peer, code)
        view = self.node.view
        if view is None or view is self._seen:
            return
        before = set(self._seen.members) if self._seen is not None else {view.me}
        self._seen = view
        self._links.want(self._wanted(view), frozenset(view.members))
        if before != set(view.members):
            facts = {
                "members": len(view.members),
                "joined": sorted(set(view.members) - before),
                "gone": sorted(before - set(view.members)),
            }
            self._around.report("roster.changed", facts)

    def _wanted(self, view: View) -> dict[str, str]:
        table, wanted = self.membership.table, members_to_link(view, self.node.near(self._tally.round))
        return {member: table[member].address if member in table else "" for member in wanted}

    # Effects.

    def _carry_out(self, effect: NodeEffect) -> None:
        match effect:
            case Tell(to, heartbeat):
                self._links.send(to, heartbeat, "heartbeat")
            case Send():
                self._outgoing.put(effect)
            case Settle():
                self._neighbours.settle(effect)
            case SetTimer(name, delay_s):
                self._set_timer(name, delay_s)
            case Train():
                self._workshop.train(effect, self._trained)
            case Adopt():
                self._adopt(effect)
            case Store():
                self._outgoing.put(self._checkpoint())
            case Finish(reason):
                self._tally.is_finished = True
                facts = {"reason": reason, "round": self._tally.round, **self._tally.traffic()}
                self._around.report("run.finished", facts)
            case _:
                assert_never(effect)

    def _send(self, effect: Send) -> None:
        message = effect.message
        start, sequence = self._numbering.next() if message.has_arrays else (0, 0)
        envelope = Envelope(message, self.node.roster_hash, start, sequence)
        if self._links.send(effect.to, envelope, effect.replaces):
            self._tally.note_sent(effect.to, message)

    def _set_timer(self, name: str, delay_s: float) -> None:
        old = self._timers.pop(name, None)
        if old is not None:
            old.cancel()
        loop = asyncio.get_running_loop()
        self._timers[name] = loop.call_later(delay_s, self._fire, name)

    def _fire(self, name: str) -> None:
        self._timers.pop(name, None)
        if name == HEARTBEAT_TIMER:
            self._links.let_go()
            for peer in self._links.active():
                self._engine.put(Active(peer))
        self._engine.put(TimerFired(name))

    def _trained(self, model: Model) -> None:
        # Not before the last round is on disk: a crash then loses no more than the round under way.
        self._outgoing.put(partial(self._engine.put, Trained(model)))

    def _adopt(self, effect: Adopt) -> None:
        self._tally.model, self._tally.round = effect.model, effect.round
        facts = {
            "round": effect.round,
            "age": effect.model.age,
            "merged": list(effect.merged),
            "missing": list(effect.missing),
        }
        every = self._options.evaluate_every
        if every and effect.round % every == 0:
            self._workshop.evaluate(effect.model, partial(self._evaluated, facts))
        elif every:
            self._workshop.afterwards(partial(self._round_done, facts))
        else:
            self._round_done(facts)

    def _evaluated(self, facts: Mapping[str, object], evaluation: Evaluation) -> None:
        self._tally.evaluation = evaluation
        figures = {"accuracy": evaluation.accuracy, "macro_f1": evaluation.macro_f1, "loss": evaluation.loss}
        self._round_done({**facts, **figures})

    def _round_done(self, facts: Mapping[str, object]) -> None:
        self._around.report("round.done", {**facts, **self._tally.traffic()})

    def _checkpoint(self) -> Checkpoint:
        return Checkpoint(self._tally.model, self._workshop.state, self.node.snapshot(), self._tally.round)

    def _training_failed(self, error: Exception) -> None:
        facts = {"problem": f"{type(error).__name__}: {error}", "rolled_back": self._workshop.rolled_back}
        self._report_problem("train.failed", facts)

    def _disk_changed(self, error: StateError | None) -> None:
        if error is None:
            self._around.report("state.recovered", {})
        else:
            self._report_problem("state.degraded", {"problem": str(error), "reason": error.what})

    def _report_problem(self, event: str, facts: Mapping[str, object]) -> None:
        self._tally.last_problem = f"{event}: {facts.get('problem', '')}"
        self._around.report(event, facts)
