"""A few memberships on perfect or bad links, in virtual time."""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count
from typing import TypeAlias

import numpy as np

from p2pfl.events import SetTimer, TimerFired
from p2pfl.membership import (
    HEARTBEAT_TIMER,
    Heard,
    Heartbeat,
    Input,
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

Event: TypeAlias = Input | TimerFired


@dataclass(frozen=True, slots=True)
class Weather:
    """What happens to heartbeats on their way: chances, and the longest delay of one that is late."""

    loss: float = 0.0
    duplicate: float = 0.0
    late: float = 0.0
    late_s: float = 0.0


class World:
    """Nodes named by words; ``link`` and ``cut`` pairs, ``block`` ways, then ``run`` to a time."""

    def __init__(
        self,
        names: Iterable[str],
        timing: Timing | None = None,
        *,
        weather: Weather | None = None,
        seed: int = 0,
    ) -> None:
        self.now_s = 0.0
        self.timing = timing or Timing()
        self.weather = weather or Weather()
        self.nodes: dict[str, Membership] = {}
        self.links: set[frozenset[str]] = set()
        self.blocked: set[tuple[str, str]] = set()  # (sender, receiver): lost without a word
        self.paused: set[str] = set()
        self.told = 0
        self.rumours_told = 0
        self._queue: list[tuple[float, int, str, Event]] = []
        self._numbers = count()
        self._timers: dict[str, int] = {}
        self._held: list[tuple[str, int, Event]] = []  # for those who pause
        self._random = np.random.default_rng([seed, 0x574F524C])
        for name in names:
            self.begin(name, incarnation=1)

    def begin(self, name: str, *, incarnation: int) -> None:
        self._held = [held for held in self._held if held[0] != name]
        self.nodes[name] = Membership(
            Rumour(name, incarnation, State.ALIVE, name.upper(), f"at-{name}"), self.timing
        )
        self._carry_out(name, self.nodes[name].start(self.now_s))

    def link(self, *pairs: Iterable[str]) -> None:
        for a, b in map(tuple, pairs):
            self.links.add(frozenset((a, b)))
            for here, there in ((a, b), (b, a)):
                other = self.nodes[there]
                up = LinkUp(there, other.incarnation, there.upper(), f"at-{there}")
                self._deliver(here, up)

    def link_all(self) -> None:
        names = sorted(self.nodes)
        self.link(*((a, b) for a in names for b in names if a < b and frozenset((a, b)) not in self.links))

    def cut(self, *pairs: Iterable[str], left: str = "", is_unneeded: bool = False) -> None:
        for a, b in map(tuple, pairs):
            self.links.discard(frozenset((a, b)))
            for here, there in ((a, b), (b, a)):
                self._deliver(here, LinkDown(there, left=there == left, is_unneeded=is_unneeded))

    def kill(self, name: str, *, says_goodbye: bool = False) -> None:
        del self.nodes[name]
        self.paused.discard(name)
        for pair in sorted(map(sorted, (p for p in self.links if name in p))):
            self.cut(pair, left=name if says_goodbye else "")

    def pause(self, name: str) -> None:
        """The process stands still; what comes waits for it."""
        self.paused.add(name)

    def resume(self, name: str) -> None:
        self.paused.discard(name)
        held, self._held = self._held, []
        for member, number, what in held:
            self._push(0.0, number, member, what)

    def tell_unreachable(self, name: str, peer: str) -> None:
        self._deliver(name, Unreachable(peer))

    def run(self, until_s: float) -> None:
        while self._queue and self._queue[0][0] <= until_s:
            self.now_s, number, name, what = heapq.heappop(self._queue)
            self._take(name, number, what)
        self.now_s = until_s

    def rosters(self) -> dict[str, str]:
        return {name: "".join(node.roster) for name, node in self.nodes.items()}

    @property
    def agrees(self) -> bool:
        """Does everybody believe in exactly those who live?"""
        return all(list(node.roster) == sorted(self.nodes) for node in self.nodes.values())

    def _take(self, name: str, number: int, event: Event) -> None:
        """What was due is handled, unless it is outdated, or lost with its link."""
        if isinstance(event, TimerFired) and self._timers.get(name) != number:
            return
        if isinstance(event, Heard) and frozenset((name, event.peer)) not in self.links:
            return
        self._deliver(name, event, number)

    def _deliver(self, name: str, event: Event, number: int | None = None) -> None:
        if name in self.paused:
            self._held.append((name, next(self._numbers) if number is None else number, event))
        elif name in self.nodes:
            self._carry_out(name, self.nodes[name].handle(event, self.now_s))

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
                self.rumours_told += len(output.heartbeat.rumours)
                if (name, output.to) not in self.blocked:
                    self._send(name, output)

    def _send(self, name: str, tell: Tell) -> None:
        heard, weather = Heard(name, tell.heartbeat), self.weather
        if weather == Weather():
            self._push(LATENCY_S, next(self._numbers), tell.to, heard)
            return
        lost, doubled, late, late_share = self._random.random(4).tolist()
        if lost < weather.loss:
            return
        delay_s = LATENCY_S + (late_share * weather.late_s if late < weather.late else 0.0)
        self._push(delay_s, next(self._numbers), tell.to, heard)
        if doubled < weather.duplicate:
            self._push(2 * delay_s, next(self._numbers), tell.to, heard)

    def _push(self, delay_s: float, number: int, name: str, what: Event) -> None:
        heapq.heappush(self._queue, (self.now_s + delay_s, number, name, what))
