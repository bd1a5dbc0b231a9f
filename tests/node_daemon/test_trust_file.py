"""``trust.toml``: what it says is applied, what it may not say is refused, and edits keep its comments."""

from pathlib import Path

import pytest

from node_daemon.trust_edit import create, enter, set_mode, strike
from node_daemon.trust_file import TrustFile, nobody_listed, read_network_key, read_trust
from p2pfl.errors import ConfigError
from tests.node_daemon.conftest import write_private
from tests.p2pfl.identities import someone

ANNA, BERT = someone("anna").id, someone("bert").id


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "trust.toml"


def test_without_a_file_nobody_is_trusted(file: Path) -> None:
    found = read_trust(file)

    assert found == TrustFile()
    assert found.mode == "list"
    assert not found.trust.admits(ANNA)


@pytest.mark.parametrize(
    ("text", "is_empty"),
    [
        ("", True),
        (f'accept_from = ["{ANNA}"]\ndeny = ["{ANNA}"]\n', True),
        (f'accept_from = ["{ANNA}"]\n', False),
        ('share_with = "any"\n', False),
        ('mode = "ticket"\n', False),
    ],
)
def test_lists_that_keep_everybody_out_say_what_to_do(file: Path, text: str, is_empty: bool) -> None:
    write_private(file, text)

    assert bool(nobody_listed(read_trust(file))) == is_empty


def test_the_two_lists_are_independent_and_hold_ids_or_names(file: Path) -> None:
    write_private(
        file, f'accept_from = ["anna"]\nshare_with = ["{BERT.lower()}"]\n[names]\nanna = "{ANNA}"\n'
    )
    trust = read_trust(file).trust

    assert (trust.accepts(ANNA), trust.shares_with(ANNA)) == (True, False)
    assert (trust.accepts(BERT), trust.shares_with(BERT)) == (False, True)
    assert trust.admits(ANNA)
    assert trust.admits(BERT)


def test_anybody_may_have_the_model_and_deny_overrides_it(file: Path) -> None:
    write_private(file, f'share_with = "any"\ndeny = ["{ANNA}"]\n')
    trust = read_trust(file).trust

    assert (trust.shares_with(ANNA), trust.shares_with(BERT)) == (False, True)
    assert not trust.accepts(BERT)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("mode = 'tickets'", "unknown mode 'tickets'"),
        ("accept_form = []", "unknown setting 'accept_form'"),
        ("accept_from = 'any'", "accept_from must be a list"),
        ("share_with = 'all'", 'share_with must be a list of at most 4096 ids or names, or "any"'),
        (f"accept_from = ['{ANNA[:7]}']", "short form"),
        (f"accept_from = ['{ANNA[:-1]}A']", "check characters"),
        ("accept_from = [1]", "must be a list"),
        ("names = 3", "must be a table"),
        ("version = 2", "version 2"),
        ("mode = ", "not valid TOML"),
    ],
)
def test_what_it_may_not_say_is_refused_in_words(file: Path, text: str, words: str) -> None:
    write_private(file, text)

    with pytest.raises(ConfigError, match=words) as caught:
        read_trust(file)
    assert str(file) in caught.value.where


def test_a_file_that_others_can_change_is_refused(file: Path) -> None:
    write_private(file, "").chmod(0o622)

    with pytest.raises(ConfigError, match="changed by others"):
        read_trust(file)


def test_ids_are_entered_once_and_struck_by_any_of_their_names_with_comments_kept(file: Path) -> None:
    assert create(file, "list")
    enter(file, ANNA, ("accept_from", "share_with"), name="anna")
    enter(file, ANNA, ("accept_from",))
    found = enter(file, BERT, ("share_with",))
    assert (found.accept_from, found.share_with) == (frozenset({ANNA}), frozenset({ANNA, BERT}))
    assert found.names == {"anna": ANNA}
    assert file.read_text("utf-8").count(ANNA) == 3

    found = strike(file, ANNA, ("share_with",))

    assert (found.accept_from, found.share_with) == (frozenset({ANNA}), frozenset({BERT}))
    assert "# overrides all of the above" in file.read_text("utf-8")
    assert file.stat().st_mode & 0o777 == 0o600


def test_nobody_can_be_taken_off_a_list_of_everybody(file: Path) -> None:
    write_private(file, 'share_with = "any"\n')

    with pytest.raises(ConfigError, match="any") as caught:
        strike(file, ANNA, ("accept_from", "share_with"))
    assert "deny" in caught.value.fix


def test_the_mode_is_changed_in_place_and_a_file_is_made_where_there_is_none(file: Path) -> None:
    assert set_mode(file, "ticket").mode == "ticket"
    assert set_mode(file, "list").mode == "list"
    assert not create(file, "open")


def test_a_network_key_that_is_missing_or_of_another_length_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no network key"):
        read_network_key(tmp_path / "network.key")

    path = write_private(tmp_path / "network.key", "short")
    with pytest.raises(ConfigError, match="32 bytes, not 5"):
        read_network_key(path)
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="read by others"):
        read_network_key(path)
