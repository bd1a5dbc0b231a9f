"""The books of push-sum in snapshots and back, refusing what is not whole."""

from collections.abc import Mapping
from typing import TypeVar

import numpy as np

from p2pfl.errors import StateError
from p2pfl.model import Array, Scalar, Snapshot
from p2pfl.protocols.push_sum_book import Book, Incoming, Outgoing, Totals, Vector

T = TypeVar("T")


def stored(book: Book) -> Snapshot:
    """What is held, and both sides of all links; equal arrays once."""
    values: dict[str, Scalar | list[Scalar]] = {"epoch": list(book.epoch), "weight": book.weight}
    arrays: dict[str, Array] = {"sum": book.held}
    places: dict[int, int] = {}
    sides: tuple[tuple[str, Mapping[str, Outgoing | Incoming]], ...] = (
        ("outgoing", book.outgoing),
        ("incoming", book.incoming),
    )
    for name, side in sides:
        totals = [account.totals for account in side.values()]
        for each in totals:
            arrays[f"totals.{places.setdefault(id(each.params), len(places))}"] = each.params
        values[f"{name}.peer"] = list(side)
        values[f"{name}.mark"] = [account.mark for account in side.values()]
        values[f"{name}.ledger"] = [each.ledger for each in totals]
        values[f"{name}.number"] = [each.number for each in totals]
        values[f"{name}.weight"] = [each.weight for each in totals]
        values[f"{name}.array"] = [places[id(each.params)] for each in totals]
    values["outgoing.unanswered"] = [account.unanswered for account in book.outgoing.values()]
    return Snapshot(values, arrays)


def restore(book: Book, snapshot: Snapshot) -> None:
    """Go on with a stored book; raises StateError when it is not whole."""
    try:
        held = _array(snapshot, "sum", size=book.held.size)
        (weight,) = _checked([snapshot.values["weight"]], float)
        start, turn = _column(snapshot, "epoch", int)
        outgoing = _side(snapshot, "outgoing", size=held.size)
        unanswered = _column(snapshot, "outgoing.unanswered", int)
        incoming = _side(snapshot, "incoming", size=held.size)
        book.outgoing = {
            peer: Outgoing(totals, mark, count)
            for (peer, mark, totals), count in zip(outgoing, unanswered, strict=True)
        }
    except (KeyError, ValueError) as error:
        raise StateError(f"the checkpoint's books of push-sum are not whole: {error}") from error
    book.incoming = {peer: Incoming(mark, totals) for peer, mark, totals in incoming}
    book.held, book.weight, book.epoch = held, weight, (start, turn)


def _side(snapshot: Snapshot, name: str, *, size: int) -> list[tuple[str, bytes, Totals]]:
    places = _column(snapshot, f"{name}.array", int)
    columns = zip(
        _column(snapshot, f"{name}.ledger", bytes),
        _column(snapshot, f"{name}.number", int),
        [_array(snapshot, f"totals.{place}", size=size) for place in places],
        _column(snapshot, f"{name}.weight", float),
        strict=True,
    )
    totals = [Totals(*each) for each in columns]
    peers, marks = _column(snapshot, f"{name}.peer", str), _column(snapshot, f"{name}.mark", bytes)
    return list(zip(peers, marks, totals, strict=True))


def _array(snapshot: Snapshot, name: str, *, size: int) -> Vector:
    found = snapshot.arrays[name]
    if found.dtype != np.float64 or found.shape != (size,):
        raise ValueError(f"{name} is {found.dtype} {list(found.shape)}, not float64 [{size}]")
    return found.astype(np.float64, copy=False)


def _column(snapshot: Snapshot, name: str, kind: type[T]) -> list[T]:
    found = snapshot.values[name]
    if not isinstance(found, list):
        raise ValueError(f"{name} is {found!r}")
    return _checked(found, kind)


def _checked(found: list[Scalar] | list[Scalar | list[Scalar]], kind: type[T]) -> list[T]:
    for each in found:
        if not isinstance(each, kind):
            raise ValueError(f"{each!r} stands where {kind.__name__} belongs")
    return [each for each in found if isinstance(each, kind)]
