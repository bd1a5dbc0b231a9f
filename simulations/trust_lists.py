"""The trust lists of simulated nodes, which may change while a simulation runs."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import networkx as nx

import topologies
from p2pfl.membership import LinkUp
from p2pfl.trust import Trust

OPEN = Trust()


@dataclass(frozen=True, slots=True, eq=False)
class TrustLists:
    """Who trusts whom, by member; a member that is not named trusts everybody."""

    trusts: dict[str, Trust] = field(default_factory=dict)

    def of(self, member: str) -> Trust:
        """The lists of a member that are in force."""
        return self.trusts.get(member, OPEN)

    def admit(self, member: str, other: str) -> bool:
        """Does each of two members let the other in?"""
        return self.of(member).admits(other) and self.of(other).admits(member)

    def greeting(self, member: str, to: str, incarnation: int) -> LinkUp:
        """What a member says of itself, and of its lists, when a link comes up."""
        trust = self.of(member)
        return LinkUp(member, incarnation, accepts_us=trust.accepts(to), shares_with_us=trust.shares_with(to))

    def links(self, members: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """Who may have a link with whom, as long as the lists stay as they are."""
        return {
            member: tuple(sorted(each for each in members if each != member and self.admit(member, each)))
            for member in members
        }


def compiled(graph: nx.Graph, members: Sequence[str]) -> TrustLists:
    """The lists that a graph asks for; its nodes, in their order, are the members."""
    member_of = dict(zip(graph, members, strict=True))
    return TrustLists(
        {
            member_of[node]: Trust(
                frozenset(member_of[other] for other in lists.accept_from),
                frozenset(member_of[other] for other in lists.share_with),
            )
            for node, lists in topologies.trust_lists(graph).items()
        }
    )
