"""The gate in virtual time: who comes in, who gives way, who is locked out and for how long."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pfl.errors import RemoteError
from p2pfl.wire.gate import FAILURES, Gate, host_of
from p2pfl.wire.limits import Limits
from tests.examples import examples

LIMITS = Limits(address_links_burst=10_000)


def far(number: int, host: int = 1) -> str:
    return f"tcp://192.168.1.{host}:{number}"


def near(number: int) -> str:
    return f"tcp://127.0.0.1:{number}"


def fail(gate: Gate, now_s: float, *, count: int = 5, code: str = "bad_signature", host: int = 1) -> None:
    for number in range(count):
        address = far(20_000 + number, host)
        gate.knock(address, now_s)
        gate.failed(address, code, now_s)
        gate.left(address)


def refusal(gate: Gate, address: str, now_s: float) -> str:
    try:
        gate.knock(address, now_s)
    except RemoteError as error:
        return error.code
    gate.left(address)
    return ""


@pytest.mark.parametrize(
    ("address", "name", "is_loopback"),
    [
        ("tcp://192.168.1.7:1", "192.168.1.7", False),
        ("tcp://127.9.9.9:1", "127.9.9.9", True),
        ("tcp://[::1]:1", "::1", True),
        ("tcp://[2001:db8:0:1:aaaa::5]:1", "2001:db8:0:1::/64", False),
        ("tcp://[fe80::1%eth0]:1", "fe80::/64", False),
        ("tcp://[::ffff:10.0.0.1]:1", "10.0.0.1", False),
        ("tcp://[::ffff:127.0.0.1]:1", "127.0.0.1", True),
        ("tcp://gone:0", "gone", False),
        ("", "", False),
    ],
)
def test_connections_are_counted_by_host_and_ipv6_by_its_network(
    address: str, name: str, is_loopback: bool
) -> None:
    found = host_of(address)

    assert (found.name, found.is_loopback) == (name, is_loopback)


def test_of_one_host_four_may_wait_and_then_its_own_oldest_gives_way() -> None:
    gate = Gate(LIMITS)
    gate.knock(far(1, host=2), 0.0)

    assert [gate.knock(far(number), 0.0) for number in range(1, 7)] == ["", "", "", "", far(1), far(2)]
    assert gate.strangers == 5


def test_of_all_hosts_ten_may_wait_and_then_the_oldest_of_all_gives_way() -> None:
    gate = Gate(LIMITS)

    assert [gate.knock(far(1, host), 0.0) for host in range(1, 13)] == [""] * 10 + [far(1, 1), far(1, 2)]


def test_strangers_from_this_machine_and_from_others_do_not_crowd_each_other_out() -> None:
    gate = Gate(LIMITS)
    gate.knock(near(1), 0.0)
    for host in range(1, 100):
        assert gate.knock(far(1, host), 0.0) != near(1)

    assert [gate.knock(near(number), 0.0) for number in range(2, 60)] == [""] * 58


def test_a_host_connects_five_times_a_second_in_the_long_run_and_twenty_times_at_once() -> None:
    gate = Gate(Limits())

    assert [refusal(gate, far(number), 0.0) for number in range(22)] == [""] * 20 + ["too_fast"] * 2
    assert refusal(gate, far(1, host=2), 0.0) == ""
    assert [refusal(gate, far(number), 1.0) for number in range(6)] == [""] * 5 + ["too_fast"]


def test_fifty_nodes_of_one_machine_may_all_dial_a_node_there_at_once() -> None:
    gate = Gate(Limits())

    assert [gate.knock(near(number), 0.0) for number in range(1, 50)] == [""] * 49


def test_after_five_failures_a_host_is_refused_for_a_minute_then_for_two_up_to_an_hour() -> None:
    gate = Gate(LIMITS)
    now_s = 0.0
    for expected_s in [60, 120, 240, 480, 960, 1920, 3600, 3600]:
        fail(gate, now_s)
        assert refusal(gate, far(1), now_s + expected_s - 1) == "locked_out"
        assert refusal(gate, far(1, host=2), now_s) == ""
        now_s += expected_s
        assert refusal(gate, far(1), now_s) == ""


def test_a_failure_counts_once_however_often_it_is_told_and_only_for_a_stranger() -> None:
    gate = Gate(LIMITS)
    gate.knock(far(1), 0.0)
    for _ in range(10):
        gate.failed(far(1), "bad_signature", 0.0)
        gate.failed(far(2), "bad_signature", 0.0)  # has not connected: a link that we dialled

    assert refusal(gate, far(3), 0.0) == ""


@pytest.mark.parametrize(
    "code", ["not_admitted", "wrong_plan", "wrong_network", "wrong_version", "own_id", "crowded"]
)
def test_who_has_a_wrong_setting_or_gave_way_to_others_is_not_locked_out(code: str) -> None:
    gate = Gate(LIMITS)
    fail(gate, 0.0, count=20, code=code)

    assert refusal(gate, far(1), 0.0) == ""


def test_a_greeting_forgives_what_failed_before() -> None:
    gate = Gate(LIMITS)
    fail(gate, 0.0, count=4)
    gate.knock(far(1), 0.0)
    gate.greeted(far(1))
    fail(gate, 0.0, count=4)

    assert refusal(gate, far(2), 0.0) == ""
    assert gate.strangers == 0


def test_this_machine_is_never_locked_out() -> None:
    gate = Gate(LIMITS)
    for number in range(100):
        gate.knock(near(number), 0.0)
        gate.failed(near(number), "bad_signature", 0.0)
        gate.left(near(number))

    assert refusal(gate, near(1), 0.0) == ""


actions = st.tuples(
    st.sampled_from(["knock", "fail", "greet", "leave"]),
    st.integers(1, 40),
    st.integers(1, 8),
    st.floats(0, 30),
)


@examples(100)
@given(st.lists(actions, max_size=150))
def test_whatever_happens_the_tables_stay_small_and_the_newcomer_is_in(
    story: list[tuple[str, int, int, float]],
) -> None:
    limits = Limits(known_addresses=16, address_links_burst=100)
    gate, now_s = Gate(limits), 0.0
    for action, host, port, pause_s in story:
        address, now_s = far(port, host), now_s + pause_s
        if action == "knock":
            before = gate.strangers
            is_in = refused_or_in(gate, address, now_s)
            assert gate.strangers <= before + is_in
        elif action == "fail":
            gate.failed(address, sorted(FAILURES)[port % len(FAILURES)], now_s)
        elif action == "greet":
            gate.greeted(address)
        else:
            gate.left(address)
        assert gate.strangers <= limits.greeting_links
        assert len(gate._records) <= limits.known_addresses
        assert gate._failed <= set(gate._strangers)


def refused_or_in(gate: Gate, address: str, now_s: float) -> bool:
    try:
        crowded = gate.knock(address, now_s)
    except RemoteError as error:
        return error.code not in {"too_fast", "locked_out"}
    assert crowded == "" or crowded == address or crowded not in gate._strangers
    assert address in gate._strangers
    return True
