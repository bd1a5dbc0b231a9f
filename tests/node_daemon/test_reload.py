"""A running daemon takes up its files anew: real processes."""

import json
import signal
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from node_daemon.cli import app
from node_daemon.journal import read_journal
from tests.awaiting import until
from tests.node_daemon.conftest import write_private
from tests.node_daemon.test_daemon import Start, ask, free_ports, make_homes
from tests.node_daemon.test_daemon import start as start  # a fixture


def type_in(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def events(home: Path, name: str) -> list[dict[str, object]]:
    return [dict(record) for record in read_journal(home / "state") if record["event"] == name]


def replace_in(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    write_private(path, text.replace(old, new))


def test_reload_takes_up_what_it_can_and_names_the_rest(tmp_path: Path, start: Start) -> None:
    (home,) = make_homes(tmp_path, 1, rounds=0)
    process = start(home)
    until(lambda: bool(ask(home)), 30)
    config, other = home / "p2pnode.toml", f"tcp://127.0.0.1:{free_ports(1)[0]}"
    replace_in(config, "static = [", f"static = ['{other}', ")
    replace_in(config, "min_peers = 1", "min_peers = 7")
    write_private(config, config.read_text() + "[log]\nlevel = 'debug'\n[limits]\nconnect_s = 0.5\n")

    answer = json.loads(type_in("reload", "--home", str(home), "--json").stdout)

    assert [row["key"] for row in answer["applied"]] == ["limits.connect_s", "log.level", "network.static"]
    assert answer["needs_restart"] == [{"key": "network.min_peers", "old": 1, "new": 7}]
    until(lambda: any(e.get("address") == other for e in events(home, "peer.unreachable")))

    write_private(config, "[network]\nprot = 7\n[log]\nlevel = 'loud'\n")
    failed = type_in("reload", "--home", str(home))
    process.send_signal(signal.SIGHUP)
    until(lambda: bool(events(home, "config.unchanged")))

    assert failed.exit_code == 3
    assert "network.prot is not a setting" in failed.stderr
    (event,) = events(home, "config.unchanged")
    assert "network.prot is not a setting" in str(event["problem"])
    assert ask(home)["state"] == "running"
    write_private(config, "")
    again = type_in("reload", "--home", str(home))
    assert "log.level: debug -> info" in again.stdout  # what is wrong has changed nothing
    assert "needs a restart" in again.stdout


@pytest.mark.slow
def test_sighup_reads_trust_and_peers_again(tmp_path: Path, start: Start) -> None:
    anna, bert = make_homes(tmp_path, 2, rounds=0)
    found = {}
    for home in (anna, bert):
        (home / "trust.toml").unlink()
        type_in("init", "--home", str(home), "--mode", "list")
        found[home] = json.loads(type_in("id", "--home", str(home), "--json").stdout)["id"]
        replace_in(home / "p2pnode.toml", "static = [", "host = '127.0.0.1'\nstatic = [] #")
    type_in("trust", "add", found[anna], "--home", str(bert), "--name", "anna")
    processes = [start(home) for home in (anna, bert)]
    until(lambda: all(bool(ask(home)) for home in (anna, bert)), 30)
    assert type_in("ping", "node1", "--home", str(anna)).exit_code == 2

    type_in("trust", "add", found[bert], "--home", str(anna), "--name", "bert")
    not_met = type_in("ping", "bert", "--home", str(anna))
    assert not_met.exit_code == 8
    assert "it has not been met since this node started" in not_met.stderr
    replace_in(anna / "p2pnode.toml", "static = [] #", "static = [")
    processes[0].send_signal(signal.SIGHUP)
    until(lambda: ask(anna).get("linked") == 1)

    ping = json.loads(type_in("ping", "bert", "--home", str(anna), "--json").stdout)
    assert (ping["path"], ping["answers"], ping["accepts_us"]) == ("loopback", 5, True)
    assert ping["throughput_bytes_per_s"] > 1e6

    type_in("trust", "remove", "bert", "--home", str(anna))
    assert ask(anna)["linked"] == 0


def test_a_topology_that_goes_with_the_mode_needs_no_restart(tmp_path: Path, start: Start) -> None:
    """Nothing in the file has changed: the topology of mode list is none of the file's."""
    home = tmp_path / "listed"
    type_in("init", "--home", str(home))
    write_private(
        home / "p2pnode.toml", "[network]\nport = 0\nmdns = false\n[task]\nname = 'digits_softmax'\n"
    )
    start(home)
    until(lambda: bool(ask(home)), 30)

    answer = json.loads(type_in("reload", "--home", str(home), "--json").stdout)

    assert (answer["applied"], answer["needs_restart"]) == ([], [])
    assert [event["problem"] for event in events(home, "trust.empty")]
