"""What a member has seen of a token, and how it is stored together with the token it holds."""

from dataclasses import dataclass

from p2pfl.errors import StateError
from p2pfl.model import Array, Model, Scalar, Snapshot
from p2pfl.protocols.snapshots import model_values, restored_model, text, whole_number, whole_numbers
from p2pfl.protocols.token import Rank, Token

NUMBERS = ("mint", "lap", "position", "hop", "relays")
TEXTS = ("place", "last", "sender")


@dataclass(frozen=True, slots=True)
class History:
    """The rank of the newest token seen, the (mint, lap) last trained in, and whether the run is over.

    ``hop`` counts the trainings behind the member's own model, those that failed included.
    """

    rank: Rank | None = None
    visited: tuple[int, int] | None = None
    is_finished: bool = False
    hop: int = 0


def stored(model: Model, held: Token | None, history: History) -> Snapshot:
    """The snapshot of a member: its model, the token that it holds, its history."""
    values: dict[str, Scalar | list[Scalar]] = {
        **model_values(model),
        "rank": list(history.rank or ()),
        "visited": list(history.visited or ()),
        "is_finished": int(history.is_finished),
        "hop": history.hop,
        "is_holding": int(held is not None),
    }
    arrays: dict[str, Array] = {"model": model.params}
    if held is not None:
        values |= {f"token.{name}": getattr(held, name) for name in (*NUMBERS, *TEXTS)}
        values["token.failed"] = sorted(held.failed)
        values["token.is_model"] = int(held.model is model)
        if held.model is not model:  # one vector instead of two where they are the same
            values |= model_values(held.model, "token")
            arrays["token"] = held.model.params
    return Snapshot(values, arrays)


def restored(snapshot: Snapshot) -> tuple[Model, Token | None, History]:
    """What ``stored`` was given; raises StateError when the snapshot is incomplete."""
    model = restored_model(snapshot)
    rank, visited = whole_numbers(snapshot, "rank"), whole_numbers(snapshot, "visited")
    if len(rank) not in (0, 4) or len(visited) not in (0, 2):
        raise StateError(f"the checkpoint's token marks are {rank} and {visited}, not 4 and 2 numbers")
    history = History(
        (rank[0], rank[1], rank[2], rank[3]) if rank else None,
        (visited[0], visited[1]) if visited else None,
        is_finished=bool(whole_number(snapshot, "is_finished")),
        hop=whole_number(snapshot, "hop"),
    )
    return model, _restored_token(snapshot, model), history


def _restored_token(snapshot: Snapshot, model: Model) -> Token | None:
    if not whole_number(snapshot, "is_holding"):
        return None
    mint, lap, position, hop, relays = (whole_number(snapshot, f"token.{name}") for name in NUMBERS)
    place, last, sender = (text(snapshot, f"token.{name}") for name in TEXTS)
    failed = snapshot.values.get("token.failed")
    if not isinstance(failed, list):
        raise StateError(f"the checkpoint's 'token.failed' is {failed!r}, not a list")
    if not whole_number(snapshot, "token.is_model"):
        model = restored_model(snapshot, "token")
    others = frozenset(str(each) for each in failed)
    return Token(mint, lap, position, place, hop, model, relays, last, sender, others)
