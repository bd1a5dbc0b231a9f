"""Two machines become a network by one line, and a third that has no ticket stays outside: real daemons."""

import json
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from node_daemon.cli import app
from node_daemon.journal import read_journal
from tests.awaiting import until
from tests.node_daemon.conftest import write_private
from tests.node_daemon.test_daemon import Start, ask, free_ports
from tests.node_daemon.test_daemon import start as start  # a fixture

TASK = "[protocol]\nname = 'gossip_averaging'\nrounds = {rounds}\n[task]\nname = 'digits_softmax'\n"


def type_in(*words: str) -> dict[str, object]:
    result = CliRunner().invoke(app, [*words, "--json"])
    assert result.exit_code == 0, result.output
    found: dict[str, object] = json.loads(result.stdout)
    return found


def configure(home: Path, part: int, *, rounds: int = 0) -> int:
    port = free_ports(1)[0]
    write_private(
        home / "p2pnode.toml",
        f"[node]\nname = '{home.name}'\n[network]\nname = 'lab'\n"
        f"host = '127.0.0.1'\nport = {port}\nmdns = false\n[data]\npart = {part}\nparts = 2\n"
        + TASK.format(rounds=rounds),
    )
    return port


def refusals(home: Path) -> list[str]:
    return [f"{e.get('code', e['event'])}: {e['problem']}" for e in events(home) if "problem" in e]


def events(home: Path) -> list[dict[str, object]]:
    return [dict(event) for event in read_journal(home / "state")]


@pytest.fixture
def homes(tmp_path: Path) -> tuple[Path, Path, Path]:
    folders = tmp_path / "anna", tmp_path / "bert", tmp_path / "cleo"
    for folder in folders:
        folder.mkdir(mode=0o700)
    return folders


@pytest.mark.slow
def test_init_invite_join_start_and_a_third_without_a_ticket_is_refused(
    homes: tuple[Path, Path, Path], start: Start
) -> None:
    anna, bert, cleo = homes
    configure(anna, 0, rounds=60)
    type_in("init", "--home", str(anna), "--mode", "ticket")
    invitation = type_in("invite", "--home", str(anna))
    port = configure(bert, 1)
    type_in("join", str(invitation["ticket"]), "--home", str(bert), "--yes")
    joined = tomllib.loads((bert / "p2pnode.toml").read_text("utf-8"))
    assert joined["protocol"]["rounds"] == 60  # the plan came with the ticket
    configure(cleo, 1, rounds=60)
    type_in("init", "--home", str(cleo), "--mode", "ticket")  # a key of its own
    start(anna)
    start(bert)
    until(lambda: bool(ask(anna).get("round")))
    third = start(cleo, "--peer", f"tcp://127.0.0.1:{port}", "--wait", "5")
    until(lambda: any(line.startswith("not_admitted") for line in refusals(cleo)))
    third.terminate()

    words = [line for line in refusals(cleo) if line.startswith("not_admitted")]
    assert "what is needed is a ticket: p2pnode invite there, p2pnode join here" in words[0]
    assert any(line.startswith("not_admitted") for line in refusals(bert))
    for home in (anna, bert):
        merged = [event for event in events(home) if event["event"] == "round.done" and event.get("merged")]
        assert merged
        assert all(len(event["merged"]) == 1 for event in merged)  # type: ignore[arg-type]  # the other
    assert (anna / "network.key").read_bytes() == (bert / "network.key").read_bytes()
    assert (bert / "network.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.slow
def test_in_list_mode_both_owners_must_agree_and_one_can_end_it(
    homes: tuple[Path, Path, Path], start: Start
) -> None:
    anna, bert, _ = homes
    configure(anna, 0)
    type_in("init", "--home", str(anna))
    invitation = type_in("invite", "--home", str(anna))
    assert invitation["is_secret"] is False
    configure(bert, 1)
    mine = type_in("join", str(invitation["ticket"]), "--home", str(bert), "--yes")["id"]
    start(anna)
    start(bert)
    until(lambda: any(line.startswith("not_admitted") for line in refusals(bert)))
    assert f"p2pnode trust add {mine}" in refusals(bert)[-1]
    until(lambda: str(mine) in str(ask(anna, "peers").get("pending")))

    assert list(type_in("peers", "--pending", "--home", str(anna))["pending"]) == [mine]  # type: ignore[call-overload]
    type_in("trust", "add", str(mine), "--home", str(anna), "--name", "bert")
    until(lambda: bool(ask(anna).get("linked")))
    until(lambda: bool(ask(anna).get("round")))
    type_in("trust", "remove", "bert", "--home", str(anna))

    assert ask(anna)["linked"] == 0
    listed = type_in("trust", "list", "--home", str(anna))
    assert (listed["accept_from"], listed["share_with"]) == ([], [])
