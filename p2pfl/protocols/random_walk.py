"""Random walk: the model goes from member to random neighbour, and whoever holds it trains it.

``uniform`` draws any neighbour, P_ij = 1/d_i: in the long run members are visited in proportion to their
degree.  ``metropolis_hastings`` draws P_ij = min(1/d_i, 1/d_j) and stays with the rest of the probability:
on an undirected graph every member is visited equally, and only the neighbours' degrees are needed.  To stay
is a hop: the holder trains again.  On a digraph both walk along the edges, without that promise.

A lap of a walk is one hop, and its positions count the draws, the failed ones included: when the drawn
neighbour is dead or does not acknowledge, the holder draws again among those that are left.  The first
member begins.  What is promised when a message is lost, repeated or late, and what ends the run, stands in
``token_pass``.

Reference: Ayache, El Rouayheb et al., arXiv 2206.00737; Metropolis-Hastings as in Liu, El Rouayheb,
arXiv 2407.20611.
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

RULES = ("metropolis_hastings", "uniform")
PURPOSE = 0x57414C4B  # of the draws: the next member of a walk


class RandomWalk:
    """One model walks over the graph at random; whoever holds it trains it and passes it on."""

    bodies: ClassVar[Mapping[str, tuple[int, str]]] = MappingProxyType(
        {KIND: (1, "float32"), FINAL_KIND: (1, "float32")}
    )
    # Without the neighbours' degrees, which one-way trust keeps from us, only this rule is left.
    local_options: ClassVar[Mapping[str, object] | None] = MappingProxyType({"rule": "uniform"})

    def __init__(
        self, setup: Setup, *, rule: str = "metropolis_hastings", ack_timeout_s: float = ACK_TIMEOUT_S
    ) -> None:
        if rule not in RULES:
            raise unknown_name("rule", rule, RULES, where="[protocol] rule")
        self._token_pass = TokenPass(setup, Walk(setup, rule), ack_timeout_s=ack_timeout_s)

    @staticmethod
    def default_rounds(nodes: int) -> int:
        """Twenty hops per node; a round is one hop."""
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


class Walk:
    """The route of a random walk: a drawn neighbour of this node, or this node again."""

    def __init__(self, setup: Setup, rule: str) -> None:
        self._setup = setup
        self._rule = rule

    def following(self, view: View, token: Token) -> Token:
        """To the neighbour drawn for the coming hop."""
        return self._drawn(view, replace(token, lap=token.lap + 1, position=0, failed=frozenset()))

    def instead(self, view: View, token: Token) -> Token:
        """To another neighbour, drawn among the linked ones that have not failed."""
        failed = token.failed | {token.place}
        return self._drawn(view, replace(token, position=token.position + 1, failed=failed))

    def _drawn(self, view: View, token: Token) -> Token:
        dead = frozenset(view.members) - view.live if token.failed else frozenset()
        place = next_hop(
            view,
            self._setup.me,
            number=self._setup.number,
            seed=self._setup.seed,
            hop=token.hop,
            rule=self._rule,
            attempt=token.position,
            avoid=token.failed | dead,
        )
        return replace(token, place=place, relays=0)


def next_hop(
    view: View,
    me: str,
    *,
    number: int,
    seed: int,
    hop: int,
    rule: str = "metropolis_hastings",
    attempt: int = 0,
    avoid: frozenset[str] = frozenset(),
) -> str:
    """The member that makes visit ``hop`` (0, 1, ...) when ``me``, with this number, made the one before.

    A pure function of the graph; ``avoid`` and ``attempt`` tell of failures and are left out without any.
    """
    neighbours = view.neighbourhood(hop, me).send_to
    reachable = [member for member in neighbours if member not in avoid]
    if not reachable:
        return me
    # Attempt 0 stands at the end, where a zero is the same as nothing.
    rng = np.random.default_rng([seed, number, hop, PURPOSE, attempt])
    drawn = reachable[rng.integers(len(reachable))]
    if rule == "uniform":
        return drawn
    degree = max(1, len(view.neighbourhood(hop, drawn).send_to))
    return drawn if rng.random() * degree < len(neighbours) else me


def visits(
    view: View,
    numbers: Mapping[str, int],
    *,
    seed: int,
    rounds: int,
    rule: str = "metropolis_hastings",
) -> list[str]:
    """Who trains, hop by hop, when nothing fails: what a simulation without messages walks along."""
    path = [view.members[0]][:rounds]
    for hop in range(1, rounds):
        me = path[-1]
        path.append(next_hop(view, me, number=numbers[me], seed=seed, hop=hop, rule=rule))
    return path
