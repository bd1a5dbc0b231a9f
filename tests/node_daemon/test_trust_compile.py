"""Lists from a digraph, and whether lists fit a graph: what is missing is named with its remedy."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from node_daemon.cli import app
from node_daemon.config import load_config
from node_daemon.files import load_or_create_identity
from node_daemon.list_check import check_lists, unlisted, with_topology
from node_daemon.trust_file import read_trust
from p2pfl.errors import ConfigError
from tests.node_daemon.conftest import write_private
from tests.p2pfl.identities import someone

ANNA, BERT, CLEO = (someone(name).id for name in ("anna", "bert", "cleo"))
NAMES = f'[names]\nanna = "{ANNA}"\nbert = "{BERT}"\n'


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir(mode=0o700)
    write_private(folder / "p2pnode.toml", "[node]\nname = 'me'\n")
    return folder


def type_in(home: Path, *words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, [*words, "--home", str(home), "--json"])
    return result.exit_code, result.output


def graph(home: Path, *lines: str) -> str:
    path = home / "hospitals.edges"
    path.write_text("\n".join(lines), "utf-8")
    return str(path)


def settings_of(home: Path, text: str) -> object:
    write_private(home / "p2pnode.toml", f"[node]\nname = 'me'\n{text}")
    return load_config(home=home).settings


def test_an_arrow_to_another_shares_and_one_from_it_accepts_and_what_is_not_there_goes(home: Path) -> None:
    write_private(home / "trust.toml", f"accept_from = ['bert', '{CLEO}']  # once\n{NAMES}")
    file = graph(home, "me -> anna", "bert -> me", "anna -> bert")

    refused, words = type_in(home, "trust", "compile", file)
    assert refused == 2  # nobody at the keyboard has agreed
    assert f"- ({CLEO[:7]})" in words
    assert CLEO in read_trust(home / "trust.toml").accept_from
    code, words = type_in(home, "trust", "compile", file, "--yes")

    found = read_trust(home / "trust.toml")
    assert (code, json.loads(words)["changed"]) == (0, True)
    assert (found.accept_from, found.share_with) == (frozenset({BERT}), frozenset({ANNA}))
    assert json.loads(type_in(home, "trust", "compile", file)[1])["changed"] is False


@pytest.mark.parametrize(
    ("edge", "trust", "words"),
    [
        ("me -> cleo", NAMES, "p2pnode trust add ID --name cleo"),
        ("me -> anna", f"deny = ['anna']\n{NAMES}", "whom trust.toml denies"),
        ("anna -> bert", NAMES, "the graph has no node 'me'"),
        ("me -> anna", f"mode = 'ticket'\n{NAMES}", "the mode is ticket"),
    ],
)
def test_what_cannot_be_compiled_is_refused_with_the_fix(
    home: Path, edge: str, trust: str, words: str
) -> None:
    write_private(home / "trust.toml", trust)

    code, output = type_in(home, "trust", "compile", graph(home, edge), "--yes")

    assert code == 7
    assert words in output


def test_the_default_topology_is_trust_in_mode_list_and_ring_elsewhere(home: Path) -> None:
    config = load_config(home=home)

    assert with_topology(config, "list").settings.topology.name == "trust"
    assert with_topology(config, "ticket").settings.topology.name == "ring"
    settings_of(home, "[topology]\nname = 'ring'\n")
    assert with_topology(load_config(home=home), "list").settings.topology.name == "ring"


def test_a_ring_of_lists_names_who_is_missing_in_which_direction(home: Path) -> None:
    write_private(home / "trust.toml", f"accept_from = ['anna']\nshare_with = ['anna', '{CLEO}']\n{NAMES}")
    settings = settings_of(home, "[topology]\nname = 'ring'\n")
    me = load_or_create_identity(home).id

    with pytest.raises(ConfigError, match="lacks") as caught:
        check_lists(settings, read_trust(home / "trust.toml"), me)  # type: ignore[arg-type]

    assert set(caught.value.facts) == {
        "p2pnode trust add bert",
        f"p2pnode trust add {CLEO} --accept-only",
    }
    assert unlisted(settings, read_trust(home / "trust.toml"), [ANNA, BERT]) == [BERT]  # type: ignore[arg-type]


def test_of_a_graph_in_a_file_only_the_edges_of_this_node_count(home: Path) -> None:
    write_private(home / "trust.toml", f"accept_from = ['bert']\n{NAMES}")
    file = graph(home, "me -> anna", "bert -> me", "anna -> bert", "cleo -> me")
    settings = settings_of(home, f"[topology]\nname = 'file'\npath = '{file}'\n")

    with pytest.raises(ConfigError) as caught:
        check_lists(settings, read_trust(home / "trust.toml"), ANNA[::-1])  # type: ignore[arg-type]

    assert caught.value.facts == (
        "p2pnode trust add anna --share-only",
        "p2pnode trust add ID --name cleo --accept-only  (its ID: p2pnode id there)",
    )


def test_petnames_resolve_also_of_one_on_no_list_and_short_ids_never(home: Path) -> None:
    write_private(home / "trust.toml", NAMES)

    assert type_in(home, "trust", "add", "anna", "--accept-only")[0] == 0
    assert read_trust(home / "trust.toml").accept_from == {ANNA}
    for text, words in ((BERT[:7], "short form"), ("ana", "did you mean anna?")):
        code, output = type_in(home, "trust", "add", text)
        assert code == 7
        assert words in output
    code, output = type_in(home, "trust", "add", CLEO, "--name", BERT[:7])
    assert code == 7
    assert "reads like a node id" in output
    assert "is called that already" in type_in(home, "trust", "add", CLEO, "--name", "bert")[1]


def test_deny_overrides_both_lists_and_remove_takes_from_both(home: Path) -> None:
    write_private(
        home / "trust.toml",
        f"accept_from = ['anna', 'bert']\nshare_with = ['anna', 'bert']\ndeny = ['anna']\n{NAMES}",
    )
    trust = read_trust(home / "trust.toml").trust
    assert [trust.accepts(ANNA), trust.shares_with(ANNA), trust.admits(ANNA)] == [False] * 3

    type_in(home, "trust", "remove", "bert")

    found = read_trust(home / "trust.toml")
    assert BERT not in found.accept_from | (found.share_with or frozenset())
