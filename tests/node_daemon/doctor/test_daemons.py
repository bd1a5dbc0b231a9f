"""Doctor beside real daemons: the peer runs, the node itself does not, and then does."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from node_daemon.cli import app
from node_daemon.journal import read_journal
from tests.awaiting import until
from tests.node_daemon.test_daemon import Start, ask
from tests.node_daemon.test_daemon import start as start  # a fixture
from tests.node_daemon.test_joining import configure, type_in


def peer_of(home: Path) -> str:
    result = CliRunner().invoke(app, ["doctor", "--home", str(home), "--json"])
    found = json.loads(result.stdout)["findings"]
    return "; ".join(f"{row['grade']} {row['found']}" for row in found if row["name"].startswith("peer"))


@pytest.mark.slow
def test_a_peer_is_looked_at_before_and_after_the_start(tmp_path: Path, start: Start) -> None:
    anna, bert = tmp_path / "anna", tmp_path / "bert"
    for number, home in enumerate((anna, bert)):
        home.mkdir(mode=0o700)
        configure(home, number)
        type_in("init", "--home", str(home), "--mode", "list")
    ticket = str(type_in("invite", "--home", str(anna))["ticket"])
    mine = str(type_in("join", ticket, "--home", str(bert), "--yes")["id"])
    assert "warn no connection: connection refused" in peer_of(bert)
    start(anna)
    until(lambda: bool(ask(anna)), 30)

    assert peer_of(bert).startswith("fail not_admitted")
    type_in("trust", "add", mine, "--home", str(anna), "--share-only")
    before_start = peer_of(bert)
    start(bert)
    until(lambda: ask(bert).get("linked") == 1, 30)

    assert before_start.startswith("ok anna (")
    assert before_start.endswith("does not accept us, shares with us")
    after_start = peer_of(bert)
    assert after_start.startswith("ok up (")
    assert after_start.endswith("does not accept us, shares with us")
    events = [record["event"] for record in read_journal(anna / "state")]
    assert "peer.probed" in events
    assert events.index("peer.probed") < events.index("peer.up")  # a look is no link
