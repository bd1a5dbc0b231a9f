"""``invite`` and ``join``: what a ticket may change, and what it may not."""

import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from node_daemon.cli import app
from node_daemon.paths import home_paths
from node_daemon.ticket_commands import join, read_ticket
from node_daemon.trust_file import read_trust
from p2pfl.errors import ConfigError
from p2pfl.identity.ticket import PlanValue, Ticket, encode_ticket
from tests.node_daemon.conftest import write_private
from tests.p2pfl.identities import NETWORK_KEY, someone

ANNA = someone("anna").id


def ticket(**plan: PlanValue) -> Ticket:
    settings = {key.replace("__", "."): value for key, value in plan.items()}
    return Ticket("lab", ANNA, ("tcp://10.0.0.1:7964",), NETWORK_KEY, settings)


def test_join_writes_network_plan_addresses_trust_and_key_and_keeps_comments(tmp_path: Path) -> None:
    paths = home_paths(tmp_path)
    write_private(paths.config, "[node]\nname = 'bert'  # mine\n")
    found = read_ticket(encode_ticket(ticket(topology__name="partial_mesh", topology__degree=4)))
    join(paths, found)

    text = paths.config.read_text("utf-8")
    assert "# mine" in text
    assert tomllib.loads(text) == {
        "node": {"name": "bert"},
        "network": {"name": "lab", "static": ["tcp://10.0.0.1:7964"]},
        "topology": {"name": "partial_mesh", "degree": 4},
    }
    assert read_trust(paths.trust).mode == "ticket"
    assert paths.network_key.read_bytes() == NETWORK_KEY
    assert paths.identity.is_file()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("protocol__name", "my_lab.walks:Levy"),
        ("node__device", "cuda"),
        ("network__insecure", True),
        ("task__path", "/etc/passwd"),
    ],
)
def test_a_ticket_chooses_neither_code_nor_anything_else_that_is_no_plan(key: str, value: PlanValue) -> None:
    with pytest.raises(ConfigError, match="no part of a plan") as caught:
        read_ticket(encode_ticket(ticket(**{key: value})))
    assert caught.value.exit_code == 7


def test_a_network_key_that_is_there_already_is_not_replaced(tmp_path: Path) -> None:
    paths = home_paths(tmp_path)
    paths.network_key.write_bytes(bytes(32))
    paths.network_key.chmod(0o600)

    with pytest.raises(ConfigError, match="another network key"):
        join(paths, ticket())
    assert paths.network_key.read_bytes() == bytes(32)


def test_without_consent_join_shows_what_it_would_do_and_writes_nothing(tmp_path: Path) -> None:
    home = tmp_path / "home"
    result = CliRunner().invoke(app, ["join", encode_ticket(ticket(network__seed=7)), "--home", str(home)])

    assert result.exit_code == 2
    assert f"lab, with node {ANNA}" in result.stderr
    assert "network.seed = 7" in result.stderr
    assert not home.exists()


def test_a_network_in_mode_open_has_no_tickets(tmp_path: Path) -> None:
    write_private(tmp_path / "trust.toml", 'mode = "open"\n')
    result = CliRunner().invoke(app, ["invite", "--home", str(tmp_path)])

    assert result.exit_code == 7
    assert "no tickets" in result.stderr


def test_init_does_not_change_the_mode_that_is_there(tmp_path: Path) -> None:
    run = CliRunner().invoke
    assert run(app, ["init", "--home", str(tmp_path), "--mode", "ticket"]).exit_code == 0
    key = (tmp_path / "network.key").read_bytes()
    assert run(app, ["init", "--home", str(tmp_path)]).exit_code == 0
    result = run(app, ["init", "--home", str(tmp_path), "--mode", "open"])

    assert result.exit_code == 7
    assert "the mode of this node is ticket already" in result.stderr
    assert (tmp_path / "network.key").read_bytes() == key
