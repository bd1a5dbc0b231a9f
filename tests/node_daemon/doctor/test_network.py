import socket
from collections.abc import Iterator
from ipaddress import ip_interface
from pathlib import Path

import pytest

from node_daemon.doctor import network
from tests.node_daemon.doctor.cases import case_of, in_words


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_a_port_is_free_or_in_use_by_somebody(tmp_path: Path, taken: int) -> None:
    case = case_of(tmp_path, f"[network]\nport = {taken}\n")

    assert in_words(network.port(case, holder=lambda _: "pid 7 (nc)")).startswith("fail in use by pid 7 (nc)")
    assert "another user's process" in in_words(network.port(case, holder=lambda _: ""))
    ours = case_of(tmp_path, f"[network]\nport = {taken}\n", status={"pid": 9, "address": "tcp://h:1"})
    assert in_words(network.port(ours)).startswith("ok held by our own daemon, pid 9, at tcp://h:1")
    assert in_words(network.port(case_of(tmp_path, "[network]\nport = 0\n"))).startswith("ok any free port")


def test_a_port_that_was_given_back_is_free_and_an_address_of_others_is_not(
    tmp_path: Path, taken: int
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        free = listener.getsockname()[1]
    other = case_of(tmp_path, f"[network]\nport = {free}\nhost = '203.0.113.9'\n", trust="mode = 'list'\n")

    assert in_words(network.port(other)).startswith("fail cannot listen on 203.0.113.9")
    assert (
        in_words(network.port(case_of(tmp_path, f"[network]\nport = {free}\n"))) == "ok free on 127.0.0.1 -> "
    )


@pytest.mark.parametrize(
    ("path", "text", "words"),
    [
        (
            "etc/ufw/ufw.conf",
            "ENABLED=yes\n",
            "ok ufw is switched on -> if others cannot reach this node: sudo ufw",
        ),
        ("etc/ufw/ufw.conf", "ENABLED=no\n", "ok neither"),
        (
            "run/firewalld/x",
            "",
            "ok firewalld is switched on -> if others cannot reach this node: sudo firewall",
        ),
        ("nothing", "", "ok neither"),
    ],
)
def test_the_firewall_that_is_on_is_named(tmp_path: Path, path: str, text: str, words: str) -> None:
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).write_text(text)

    assert in_words(network.firewall(case_of(tmp_path), root=tmp_path)).startswith(words)


def test_interfaces_on_which_nothing_is_heard_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = tuple(map(ip_interface, ("127.0.0.1/8", "10.0.0.1/24", "10.1.0.1/24", "fd00::1/64")))
    monkeypatch.setattr(network, "local_interfaces", lambda: found)
    case = case_of(tmp_path, trust="mode = 'list'\n")

    everywhere = in_words(network.mdns(case, root=tmp_path, hears=lambda _: True))
    somewhere = in_words(network.mdns(case, root=tmp_path, hears=lambda address: address == "10.0.0.1"))
    monkeypatch.setattr(network, "local_interfaces", lambda: found[:1])
    nowhere = in_words(network.mdns(case, root=tmp_path))

    assert everywhere == "ok heard ourselves on 10.0.0.1, 10.1.0.1 -> "
    assert somewhere.startswith("warn our own announcement was not heard in 3 s on 10.1.0.1;")
    assert "UDP 5353 inwards" in somewhere
    assert nowhere.startswith("warn there is no network interface")
    assert in_words(network.mdns(case_of(tmp_path, "[network]\nmdns = false\n"))).startswith("ok off")


def test_we_hear_ourselves_on_the_loopback(tmp_path: Path) -> None:
    assert in_words(network.mdns(case_of(tmp_path))) == "ok heard ourselves on 127.0.0.1 -> "


def test_an_interface_without_multicast_is_deaf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "LOOPBACK", "198.51.100.9")  # no interface has it

    assert in_words(network.mdns(case_of(tmp_path))).startswith("warn our own announcement was not heard")
