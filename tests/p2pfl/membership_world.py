"""A few memberships on perfect or cut links, in virtual time."""

import heapq
from itertools import count

from p2pfl.events import SetTimer, TimerFired
from p2pfl.membership import (
    HEARTBEAT_TIMER,
    Heard,
    Heartbeat,
    LinkDown,
    LinkUp,
    Membership,
    Rumour,
    State,
    Tell,
    Timing,
    Unreachable,
)

LATENCY_S = 0.01


class World:
    """Nodes named by letters; ``link`` and ``cut`` pairs, then ``run`` to a time."""

    def __init__(self, names: str, timing: Timing | None = None) -> None:
        self.now_s = 0.0
        self.timing = timing or Timing()
        self.nodes: dict[str, Membership] = {}
        self.links: set[frozenset[str]] = set()
        self.told = 0
        self._queue: list[tuple[float, int, str, object]] = []
        self._numbers = count()
        self._timers: dict[str, int] = {}
        for name in names:
            self.begin(name, incarnation=1)

    def begin(self, name: str, *, incarnation: int) -> None:
        self.nodes[name] = Membership(
            Rumour(name, incarnation, State.ALIVE, name.upper(), f"at-{name}"), self.timing
        )
        self._carry_out(name, self.nodes[name].start(self.now_s))

    def link(self, *pairs: str) -> None:
        for a, b in map(tuple, pairs):
            self.links.add(frozenset((a, b)))
            for here, there in ((a, b), (b, a)):
                other = self.nodes[there]
                up = LinkUp(there, other.incarnation, there.upper(), f"at-{there}")
                self._carry_out(here, self.nodes[here].handle(up, self.now_s))

    def cut(self, *pairs: str, left: str = "") -> None:
        for a, b in map(tuple, pairs):
            self.links.discard(frozenset((a, b)))
            for here, there in ((a, b), (b, a)):
                if here in self.nodes:
                    down = LinkDown(there, left=there == left)
                    self._carry_out(here, self.nodes[here].handle(down, self.now_s))

    def kill(self, name: str, *, says_goodbye: bool = False) -> None:
        del self.nodes[name]
        for pair in [p for p in self.links if name in p]:
            (other,) = pair - {name}
            self.cut(name + other, left=name if says_goodbye else "")

    def tell_unreachable(self, name: str, peer: str) -> None:
        self._carry_out(name, self.nodes[name].handle(Unreachable(peer), self.now_s))

    def run(self, until_s: float) -> None:
        while self._queue and self._queue[0][0] <= until_s:
            self.now_s, number, name, what = heapq.heappop(self._queue)
            if name not in self.nodes:
                continue
            if isinstance(what, TimerFired):
                if self._timers.get(name) == number:
                    self._carry_out(name, self.nodes[name].handle(what, self.now_s))
            elif isinstance(what, Heard) and frozenset((name, what.peer)) in self.links:
                self._carry_out(name, self.nodes[name].handle(what, self.now_s))
        self.now_s = until_s

    def rosters(self) -> dict[str, str]:
        return {name: "".join(node.roster) for name, node in self.nodes.items()}

    def _carry_out(self, name: str, outputs: list[Tell | SetTimer]) -> None:
        for output in outputs:
            number = next(self._numbers)
            if isinstance(output, SetTimer):
                assert output.name == HEARTBEAT_TIMER
                self._timers[name] = number
                self._push(output.delay_s, number, name, TimerFired(output.name))
            else:
                assert isinstance(output.heartbeat, Heartbeat)
                self.told += 1
                self._push(LATENCY_S, number, output.to, Heard(name, output.heartbeat))

    def _push(self, delay_s: float, number: int, name: str, what: object) -> None:
        heapq.heappush(self._queue, (self.now_s + delay_s, number, name, what))
