"""A rumour about somebody whom nobody here has met yet, with numbers that it will never reach."""

import pytest

from p2pfl.membership import Heard, Heartbeat, LinkUp, Membership, Rumour, State


@pytest.mark.parametrize("state", list(State))
def test_a_members_own_word_overrides_a_forged_rumour_that_came_before_it(state: State) -> None:
    membership = Membership(Rumour("a", 1, State.ALIVE))
    membership.handle(LinkUp("liar", 1), 0.0)
    forged = Rumour("c", 2**63 - 1, state, "c", "tcp://192.0.2.1:1")
    membership.handle(Heard("liar", Heartbeat(1, b"", (forged,))), 0.1)
    membership.handle(LinkUp("c", 3, "c", "tcp://127.0.0.1:9"), 0.2)
    membership.handle(Heard("liar", Heartbeat(1, b"", (forged,))), 0.3)

    assert membership.table["c"] == Rumour("c", 3, State.ALIVE, "c", "tcp://127.0.0.1:9")
    assert set(membership.roster) == {"a", "c", "liar"}
