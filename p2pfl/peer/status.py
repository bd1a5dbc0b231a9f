"""What a peer tells about itself and its neighbours."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from p2pfl.events import Message
from p2pfl.learning.learner import Evaluation
from p2pfl.membership import Membership, Rumour, State
from p2pfl.model import Model
from p2pfl.node import Node
from p2pfl.wire.packets import Greeting

MAX_PEERS = 8192  # entries of a table by peer; the oldest give way


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """One node at a glance; ``accuracy`` and ``loss`` are None before the first evaluation."""

    state: str  # waiting | running | pausing (a training finishes) | paused | finished
    round: int
    age: int
    accuracy: float | None
    macro_f1: float | None
    loss: float | None
    members: int
    linked: int
    bytes_sent: int  # of models and bodies
    bytes_received: int
    messages_sent: int  # heartbeats not counted
    roster: str  # short hash, hexadecimal
    last_problem: str
    counts: Mapping[str, int]  # what the gates and limits of this node stopped, by their words


@dataclass(frozen=True, slots=True)
class PeerRow:
    """One other member, as this node sees it; what it said of itself is None while it is not linked."""

    id: str
    name: str
    address: str
    state: str  # up | alive | suspect | dead
    sends_to: bool  # an edge from this node to it
    receives_from: bool
    accepted: bool
    shared_with: bool
    accepts_us: bool | None
    shares_with_us: bool | None
    version: str | None  # of its program
    agrees: bool | None  # is its roster ours?
    last_model_s: float | None  # seconds since its last model
    last_model_round: int | None
    models_sent: int
    models_received: int
    refused: int  # models, and links, of it here
    refused_there: int  # our models
    reasons: Mapping[str, int]  # why, of both


@dataclass(slots=True)
class Tally:
    """Where the node stands, and what is counted while its peer runs."""

    model: Model
    round: int = 0
    is_finished: bool = False
    bytes_sent: int = 0
    bytes_received: int = 0
    messages_sent: int = 0
    models_sent: Counter[str] = field(default_factory=Counter)
    models_received: Counter[str] = field(default_factory=Counter)
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)  # (peer, code)
    refused_there: Counter[tuple[str, str]] = field(default_factory=Counter)
    withheld: int = 0  # models that were to be sent, and not shared any more when their turn came
    last_model: dict[str, tuple[float, int]] = field(default_factory=dict)  # peer -> (now_s, round)
    rosters: dict[str, bytes] = field(default_factory=dict)
    evaluation: Evaluation | None = None
    last_problem: str = ""

    def counts(self) -> dict[str, int]:
        """What was refused on links, by either side, and what was not sent after all."""
        here, there = Counter[str](), Counter[str]()
        for (_, code), count in self.refused.items():
            here[code] += count
        for (_, code), count in self.refused_there.items():
            there[code] += count
        found = {f"refused {code}": count for code, count in here.items()}
        found |= {f"refused there {code}": count for code, count in there.items()}
        return found | {"not shared any more": self.withheld}

    def forget(self) -> None:
        """Whoever comes and goes under ever new ids leaves no more than ``MAX_PEERS`` of them here."""
        tables: tuple[
            dict[str, int] | dict[tuple[str, str], int] | dict[str, bytes] | dict[str, tuple[float, int]], ...
        ]
        tables = (self.models_sent, self.models_received, self.refused, self.refused_there)
        for table in (*tables, self.rosters, self.last_model):
            for key in list(table)[: max(0, len(table) - MAX_PEERS)]:
                del table[key]  # type: ignore[arg-type]  # a key of this very table

    def status(
        self, state: str, *, members: int, linked: int, roster: str, counts: Mapping[str, int]
    ) -> PeerStatus:
        """The node at a glance."""
        seen = self.evaluation
        return PeerStatus(
            state=state,
            round=self.round,
            age=self.model.age,
            accuracy=None if seen is None else seen.accuracy,
            macro_f1=None if seen is None else seen.macro_f1,
            loss=None if seen is None else seen.loss,
            members=members,
            linked=linked,
            bytes_sent=self.bytes_sent,
            bytes_received=self.bytes_received,
            messages_sent=self.messages_sent,
            roster=roster,
            last_problem=self.last_problem,
            counts=counts,
        )

    def traffic(self) -> dict[str, int]:
        """What this start has sent so far, as facts of a report."""
        return {"bytes_sent": self.bytes_sent, "messages_sent": self.messages_sent}

    def note_sent(self, to: str, message: Message) -> None:
        """A message has been handed to the link."""
        self.bytes_sent += body_bytes(message)
        self.messages_sent += 1
        self.models_sent[to] += message.model is not None

    def note_unsent(self, to: str, message: Message) -> None:
        """A message that was handed to the link was not wanted: its body was never sent."""
        self.bytes_sent -= body_bytes(message)
        self.messages_sent -= 1
        self.models_sent[to] -= message.model is not None

    def note_received(self, sender: str, message: Message, now_s: float) -> None:
        """A message has arrived."""
        self.bytes_received += body_bytes(message)
        if message.model is not None:
            self.models_received[sender] += 1
            self.last_model[sender] = (now_s, message.round)


def body_bytes(message: Message) -> int:
    """Bytes of the model and the further arrays of a message, without headers."""
    model = 0 if message.model is None else message.model.params.nbytes
    return model + sum(array.nbytes for array in message.body)


def peer_rows(
    node: Node, membership: Membership, linked: Mapping[str, Greeting], *, tally: Tally, now_s: float
) -> list[PeerRow]:
    """Every other member ever heard of, sorted by id."""
    me = membership.me
    table = dict(membership.table)  # a copy: the node may live in another thread
    return [_row(node, table[m], linked.get(m), tally=tally, now_s=now_s) for m in sorted(table) if m != me]


def _row(node: Node, member: Rumour, greeting: Greeting | None, *, tally: Tally, now_s: float) -> PeerRow:
    peer = member.member
    near = node.view.neighbourhood(tally.round) if node.view is not None else None
    last = tally.last_model.get(peer)
    roster = tally.rosters.get(peer)
    return PeerRow(
        id=peer,
        name=member.name,
        address=member.address,
        state="up" if greeting is not None and member.state is State.ALIVE else member.state.name.lower(),
        sends_to=near is not None and peer in near.send_to,
        receives_from=near is not None and peer in near.receive_weights,
        accepted=node.trust.accepts(peer),
        shared_with=node.trust.shares_with(peer),
        accepts_us=None if greeting is None else greeting.accepts_you,
        shares_with_us=None if greeting is None else greeting.shares_with_you,
        version=None if greeting is None else greeting.version,
        agrees=None if greeting is None or roster is None else roster == node.roster_hash,
        last_model_s=None if last is None else now_s - last[0],
        last_model_round=None if last is None else last[1],
        models_sent=tally.models_sent[peer],
        models_received=tally.models_received[peer],
        refused=sum(_of(peer, tally.refused).values()),
        refused_there=sum(_of(peer, tally.refused_there).values()),
        reasons=dict(_of(peer, tally.refused) + _of(peer, tally.refused_there)),
    )


def _of(peer: str, counts: Mapping[tuple[str, str], int]) -> Counter[str]:
    return Counter({code: count for (each, code), count in counts.items() if each == peer})
