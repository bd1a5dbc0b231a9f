from pathlib import Path

import pytest

from node_daemon.doctor import files
from node_daemon.files import load_or_create_identity
from p2pfl.errors import ConfigError
from tests.node_daemon.conftest import write_private
from tests.node_daemon.doctor.cases import case_of, in_words
from tests.p2pfl.identities import someone


def test_an_identity_is_there_and_private(tmp_path: Path) -> None:
    case = case_of(tmp_path)
    assert in_words(files.identity(case)).startswith("warn there is none yet")
    mine = load_or_create_identity(tmp_path)

    assert in_words(files.identity(case)).startswith(
        f"ok {tmp_path}/identity.key, mode 0600, ID {mine.id[:7]}"
    )
    (tmp_path / "identity.key").chmod(0o640)
    with pytest.raises(ConfigError, match="can be read by others"):
        files.identity(case)
    write_private(tmp_path / "identity.key", "no key")
    with pytest.raises(ConfigError, match="is not an unencrypted PEM"):
        files.identity(case)


def test_every_mistake_of_the_config_is_a_finding(tmp_path: Path) -> None:
    wrong = files.config(case_of(tmp_path, "[network]\nprot = 1\n[log]\nlevel = 'loud'\n"))
    unknown = files.config(case_of(tmp_path, "[topology]\nname = 'rign'\n"))

    assert [one.grade.value for one in wrong] == ["fail", "fail"]
    assert "network.prot is not a setting" in wrong[0].found
    assert wrong[0].remedy == "did you mean network.port?"
    assert "unknown topology 'rign'" in unknown[0].found


def test_a_sound_config_says_where_it_comes_from(tmp_path: Path) -> None:
    case = case_of(tmp_path, "[network]\nport = 1\n")

    assert in_words(files.config(case)).startswith(f"ok valid, 0 unknown keys, from {tmp_path}/p2pnode.toml")


def test_who_gets_in_is_said(tmp_path: Path) -> None:
    peer = someone("garage").id
    listed = f'mode = "list"\naccept_from = ["{peer}"]\nshare_with = "any"\n'

    assert in_words(files.trust(case_of(tmp_path, trust="mode = 'list'\n"))).startswith(
        "warn mode list: accept 0, share with 0: nobody gets in"
    )
    assert in_words(files.trust(case_of(tmp_path, trust=listed))).startswith(
        "ok mode list: accept 1, share with anybody"
    )
    assert in_words(files.trust(case_of(tmp_path))).startswith("ok mode open: this computer only")
    insecure = case_of(tmp_path, "[network]\ninsecure = true\n")
    assert in_words(files.trust(insecure)).startswith("warn mode open and insecure")


def test_a_network_key_is_demanded_in_mode_ticket(tmp_path: Path) -> None:
    case = case_of(tmp_path, trust="mode = 'ticket'\n")
    with pytest.raises(ConfigError, match="there is no network key"):
        files.trust(case)

    write_private(tmp_path / "network.key", "k" * 32)
    assert in_words(files.trust(case)).startswith("ok mode ticket")
    write_private(tmp_path / "trust.toml", "mod = 'list'\n")
    with pytest.raises(ConfigError, match="unknown setting 'mod'"):
        files.trust(case)
