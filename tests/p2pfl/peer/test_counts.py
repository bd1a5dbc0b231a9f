"""What gates and limits have stopped is counted under one key, in tables that do not grow for ever."""

from p2pfl.finiteness import STRIKES
from p2pfl.model import Model
from p2pfl.peer.status import MAX_PEERS, Tally
from p2pfl.wire.packets import Receipt, Reject
from tests.p2pfl.peer.crowd import Crowd
from tests.p2pfl.wire.samples import model


def tally() -> Tally:
    return Tally(model=Model(model().params))


async def test_status_says_what_was_stopped_and_why() -> None:
    a = Crowd(members=1, rounds=1).member("a", 0)
    a.start()
    await a.until("run.finished")
    neighbours = a.peer._neighbours
    neighbours.note_refused("b", "wrong_shape")
    neighbours.note_refused("c", "wrong_shape")
    neighbours.model_refused("b", Receipt(1, "too_large"), unsent=None)
    for word in range(STRIKES):  # a word of its own for each, as a hostile peer might say
        neighbours.model_refused("b", Reject(1, f"word{word}"), unsent=None)
    a.peer.node.finite.rolled_back += 1
    counts = a.peer.status().counts

    assert counts["refused wrong_shape"] == 2
    assert (counts["refused there too_large"], counts["refused there other"]) == (1, STRIKES)
    assert (counts["rolled_back"], counts["withheld"], counts["late"], counts["link failures"]) == (
        1,
        0,
        0,
        0,
    )
    await a.stop()


def test_ever_new_peers_leave_a_bounded_number_of_entries() -> None:
    found = tally()
    for number in range(2 * MAX_PEERS):
        found.rosters[f"p{number}"] = b""
        found.refused[f"p{number}", "not_trusted"] += 1
        if number % 1000 == 0:
            found.forget()
    found.forget()

    assert len(found.rosters) == len(found.refused) == MAX_PEERS
    assert f"p{2 * MAX_PEERS - 1}" in found.rosters
