"""What must hold at every moment of a simulation; a violation says with which seed, when, and after what.

Checked are: at most one ``Train`` of a node is outstanding; the rows of its mixing weights sum to one; the
age of its model never falls; of a token protocol (``TakesTurns``) a member trains at most once in each turn;
what is under way on a link and waits for it is bounded; and the mass of a
protocol that declares one (``ConservesMass``) is neither made nor lost, whatever happens to messages and
nodes.
"""

from collections import deque
from collections.abc import Iterable, Mapping

from p2pfl.events import Adopt, Received, Trained
from p2pfl.node import NodeInput
from simulations.hosts import Host, Mass, TakesTurns
from simulations.links import MAX_OUTBOX, SimulatedLink

KEPT_EVENTS = 50
MAX_IN_FLIGHT = 1024  # messages under way on one link
ROW_SUM_TOLERANCE = 1e-6
MASS_TOLERANCE = 1e-6  # relative


class InvariantError(AssertionError):
    """Something that must never happen has happened: a bug in a protocol, or in the simulator."""


class Invariants:
    """Looks at every event and effect of a run, and remembers the last events."""

    __slots__ = ("_masses", "_members", "_recent", "_rows", "_seed", "_since_weighed", "_total", "_turns")

    def __init__(self, members: int, seed: int) -> None:
        self._members = members
        self._seed = seed
        self._recent: deque[tuple[float, str, NodeInput]] = deque(maxlen=KEPT_EVENTS)
        self._rows: dict[str, Mapping[str, float]] = {}  # member -> the weights that were checked last
        self._masses: dict[str, Mass] = {}
        self._turns: dict[str, tuple[int, int]] = {}  # member -> the (mint, lap) of its last training
        self._total: float | None = None  # of the masses; None before the first weighing and where none is
        self._since_weighed = 0  # models adopted

    def handled(self, now_s: float, member: str, event: NodeInput) -> None:
        """An event is about to be handled."""
        self._recent.append((now_s, member, event))

    def begins_training(self, host: Host, now_s: float) -> None:
        """At most one training is outstanding."""
        if host.is_training:
            raise self.violation(f"{host.member} trains already and asks for another training", now_s)

    def adopted(self, host: Host, adopt: Adopt, now_s: float) -> None:
        """Ages never fall, and rows sum to one."""
        age = adopt.model.age
        if age < host.age:
            raise self.violation(f"{host.member} goes back from age {host.age} to {age}", now_s)
        host.age = age
        if host.turns is not None and isinstance(self._recent[-1][2], Trained):
            self._check_turn(host.member, host.turns, now_s)
        view = host.node.view
        if view is None or host.scale is not None:
            return  # there the columns sum to one
        hood = view.neighbourhood(max(adopt.round - 1, 0))
        if self._rows.get(host.member) is hood.receive_weights:
            return
        self._rows[host.member] = hood.receive_weights
        total = hood.self_weight + sum(hood.receive_weights.values())
        if abs(total - 1) > ROW_SUM_TOLERANCE:
            raise self.violation(f"the mixing weights of {host.member} sum to {total:.9g}, not 1", now_s)

    def on_the_way(self, sender: str, link: SimulatedLink, now_s: float) -> None:
        """Neither the messages under way nor those that wait pile up."""
        if link.launched - link.arrived > MAX_IN_FLIGHT:
            what = f"{link.launched - link.arrived} messages are under way"
            raise self.violation(f"{what} from {sender} to {link.to}, more than {MAX_IN_FLIGHT}", now_s)
        assert len(link.outbox) <= MAX_OUTBOX, f"{len(link.outbox)} messages wait from {sender} to {link.to}"

    def stored(self, host: Host) -> None:
        """What a member has on its disk keeps its mass while it is down."""
        if host.scale is not None:
            held, sent, got = host.scale.mass()
            self._masses[host.member] = held, dict(sent), dict(got)

    def begun(self, hosts: Iterable[Host]) -> None:
        """All members that are there from the beginning have begun: weigh them."""
        for host in hosts:
            self.stored(host)
        if self._masses:
            self._total = self._weigh(())

    def joined(self, member: str) -> None:
        """A fresh start brings its own mass, and takes what an earlier life had out of the books."""
        self._turns.pop(member, None)
        if member in self._masses or self._total is not None:
            self._total = None

    def weigh(self, hosts: Iterable[Host], now_s: float) -> None:
        """Mass is conserved; weighed about once per round, since it takes all nodes."""
        self._since_weighed += 1
        if self._total is None or self._since_weighed < self._members:
            return
        self._since_weighed = 0
        found = self._weigh(hosts)
        if abs(found - self._total) > MASS_TOLERANCE * max(abs(self._total), 1.0):
            raise self.violation(f"the masses sum to {found!r}, not {self._total!r}", now_s)

    def violation(self, what: str, now_s: float) -> InvariantError:
        """The error: what, the seed, the time and the last events, the latest last."""
        events = "\n".join(
            f"  {time_s:.6f} s {member} {_words(event)}" for time_s, member, event in self._recent
        )
        return InvariantError(
            f"{what} (seed {self._seed}, at {now_s:.6f} s)\nthe last {len(self._recent)} events:\n{events}"
        )

    def _check_turn(self, member: str, turns: TakesTurns, now_s: float) -> None:
        turn, before = turns.turn, self._turns.get(member)
        if turn is None or (before is not None and turn <= before):
            raise self.violation(f"{member} trains in turn {turn} after turn {before}", now_s)
        self._turns[member] = turn

    def _weigh(self, hosts: Iterable[Host]) -> float:
        masses = dict(self._masses)
        for host in hosts:
            if host.is_up and host.scale is not None:
                masses[host.member] = host.scale.mass()
        held = sum(mass for mass, _, _ in masses.values())
        sent = sum(total for _, totals, _ in masses.values() for total in totals.values())
        got = sum(total for _, _, totals in masses.values() for total in totals.values())
        return held + sent - got


def _words(event: NodeInput) -> str:
    match event:
        case Received(sender, message):
            age = "" if message.model is None else f" a{message.model.age}"
            return f"Received {message.kind} r{message.round}{age} from {sender}"
        case Trained(model):
            return f"Trained a{model.age}"
        case _:
            return repr(event)[:200]
