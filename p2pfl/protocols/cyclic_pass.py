"""Cyclic pass (cyclical weight transfer): the model goes round the members, lap after lap.

Each lap visits every member once: in the order of the members, or in a fresh permutation that all draw
alike from (seed, lap).  The first lap begins with the first member, which mints the token.  A member that is
no neighbour of the one before is reached through relays.  What is promised when a message is lost, repeated
or late, and what ends the run, stands in ``token_pass``.

When the roster changes, the order is that of the new roster at once: the token goes on behind its place in
it.  A permutation is then another one for the rest of that lap, so that a member may miss one turn; nobody
gets two, since a member that has trained in a lap passes the token on untrained.

Reference: Chang et al., "Distributed deep learning networks among institutions", JAMIA 25(8), 2018.
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import ClassVar

import numpy as np

from p2pfl.errors import unknown_name
from p2pfl.events import Effect, Event, View
from p2pfl.model import Snapshot
from p2pfl.protocols.protocol import Setup
from p2pfl.protocols.token import FINAL_KIND, KIND, Token
from p2pfl.protocols.token_pass import ACK_TIMEOUT_S, HOPS_PER_NODE, TokenPass

ORDERS = ("fixed", "permutation")
PURPOSE = 0x4C4150  # of the draws: the order of a lap


class CyclicPass:
    """One model travels round the ring; whoever holds it trains it and passes it on."""

    bodies: ClassVar[Mapping[str, tuple[int, str]]] = MappingProxyType(
        {KIND: (1, "float32"), FINAL_KIND: (1, "float32")}
    )
    local_options: ClassVar[Mapping[str, object] | None] = None  # a lap needs an order that all know

    def __init__(self, setup: Setup, *, order: str = "fixed", ack_timeout_s: float = ACK_TIMEOUT_S) -> None:
        if order not in ORDERS:
            raise unknown_name("order", order, ORDERS, where="[protocol] order")
        self._token_pass = TokenPass(setup, Laps(setup.seed, order), ack_timeout_s=ack_timeout_s)

    @staticmethod
    def default_rounds(nodes: int) -> int:
        """Twenty laps; a round is one hop."""
        return HOPS_PER_NODE * nodes

    def handle(self, event: Event, now_s: float) -> list[Effect]:
        """React to one event."""
        return self._token_pass.handle(event, now_s)

    @property
    def turn(self) -> tuple[int, int] | None:
        """The (mint, lap) in which this member has trained last: higher each time."""
        return self._token_pass.turn

    def snapshot(self) -> Snapshot:
        """The node's model, the token it holds, and which tokens it has seen."""
        return self._token_pass.snapshot()

    def restore(self, snapshot: Snapshot) -> None:
        """Take the token up where it was stored."""
        self._token_pass.restore(snapshot)


class Laps:
    """The route of a cyclic pass: the member behind the token's place in the order of its lap."""

    def __init__(self, seed: int, order: str) -> None:
        self._seed = seed
        self._order = order

    def following(self, view: View, token: Token) -> Token:
        """To the next place of the lap, or to the first of the next lap."""
        order = lap_order(view.members, seed=self._seed, lap=token.lap, order=self._order)
        # Where a member has left, its successor has moved up to its place.
        index = order.index(token.place) + 1 if token.place in order else token.position
        onward = replace(token, relays=0, failed=frozenset())
        if index < len(order):
            return replace(onward, position=token.position + 1, place=order[index])
        first = lap_order(view.members, seed=self._seed, lap=token.lap + 1, order=self._order)[0]
        return replace(onward, lap=token.lap + 1, position=0, place=first)

    def instead(self, view: View, token: Token) -> Token:
        """Past a place that cannot be reached: to the one behind it."""
        return self.following(view, token)


def lap_order(members: tuple[str, ...], *, seed: int, lap: int, order: str) -> tuple[str, ...]:
    """The order in which a lap visits the members; lap 0 begins with the first member in any case.

    That member mints the token: also where rosters still differ at the start there is then one that does.
    """
    if order == "fixed":
        return members
    drawn = [members[i] for i in np.random.default_rng([seed, lap, PURPOSE]).permutation(len(members))]
    begin = drawn.index(members[0]) if lap == 0 else 0
    return (*drawn[begin:], *drawn[:begin])


def visits(members: tuple[str, ...], *, seed: int, rounds: int, order: str = "fixed") -> list[str]:
    """Who trains, hop by hop, when nothing fails: what a simulation without messages walks along."""
    path: list[str] = []
    lap = 0
    while len(path) < rounds:
        path.extend(lap_order(members, seed=seed, lap=lap, order=order))
        lap += 1
    return path[:rounds]
