from p2pfl.wire.limits import Limits
from p2pfl.wire.outbox import Outbox


def drained(outbox: Outbox[str]) -> list[str]:
    found = []
    while (item := outbox.pop_control() or outbox.pop()) is not None:
        found.append(item)
    return found


def test_messages_leave_in_the_order_in_which_they_came() -> None:
    outbox: Outbox[str] = Outbox(Limits())
    for item in "abc":
        outbox.put(item)

    assert drained(outbox) == ["a", "b", "c"]
    assert outbox.pop() is None


def test_a_full_outbox_drops_its_oldest_message() -> None:
    outbox: Outbox[str] = Outbox(Limits(outbox_messages=4))
    for item in "abcdef":
        outbox.put(item)

    assert len(outbox) == 4
    assert outbox.dropped == 2
    assert drained(outbox) == ["c", "d", "e", "f"]


def test_an_unsent_message_with_the_same_key_is_replaced_by_the_later_one() -> None:
    outbox: Outbox[str] = Outbox(Limits())
    outbox.put("round 1", "model")
    outbox.put("note")
    outbox.put("round 2", "model")
    outbox.put("other note")

    assert drained(outbox) == ["note", "round 2", "other note"]
    assert outbox.dropped == 0


def test_an_empty_key_replaces_nothing() -> None:
    outbox: Outbox[str] = Outbox(Limits())
    outbox.put("a", "")
    outbox.put("b", "")

    assert drained(outbox) == ["a", "b"]


def test_heartbeats_overtake_messages_and_are_bounded_too() -> None:
    outbox: Outbox[str] = Outbox(Limits(outbox_controls=2))
    outbox.put("message")
    for item in ("beat 1", "beat 2", "beat 3"):
        outbox.put_control(item)

    assert drained(outbox) == ["beat 2", "beat 3", "message"]
