from collections.abc import Mapping
from pathlib import Path

import pytest

from node_daemon.config import CombinedConfigError, load_config
from node_daemon.layers import find_line, flatten, merge, nest
from p2pfl.errors import ConfigError
from tests.node_daemon.conftest import write_private


def test_without_any_source_the_defaults_hold(user: Path) -> None:
    settings = load_config().settings

    assert settings.network.port == 7964
    assert settings.network.min_peers == 2
    assert (settings.topology.name, settings.protocol.name, settings.task.name) == (
        "ring",
        "gossip_averaging",
        "digits",
    )
    assert settings.protocol.rounds is None


def test_flags_beat_environment_beats_named_file_beats_working_folder_beats_user_file(
    user: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = ("min_peers", "seed", "port", "mdns", "name")
    write_private(
        user.parent / "config/p2pnode/p2pnode.toml",
        _network(min_peers=5, seed=5, port=5, mdns=False, name="e"),
    )
    write_private(user / "p2pnode.toml", _network(min_peers=4, seed=4, port=4, mdns=True))
    named = write_private(user.parent / "named.toml", _network(min_peers=3, seed=3, port=3))
    monkeypatch.setenv("P2PNODE_NETWORK__SEED", "2")
    monkeypatch.setenv("P2PNODE_NETWORK__MIN_PEERS", "2")

    config = load_config({"network.min_peers": 1, "network.port": None}, file=named)

    network = config.settings.network
    assert [getattr(network, key) for key in keys] == [1, 2, 3, True, "e"]
    assert [config.where(f"network.{key}") for key in keys] == [
        "command line",
        "P2PNODE_NETWORK__SEED",
        f"{named}, line 4",
        "p2pnode.toml, line 5",
        f"{user.parent / 'config/p2pnode/p2pnode.toml'}, line 6",
    ]


def test_the_variable_p2pnode_config_names_a_file_too(user: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("P2PNODE_CONFIG", str(write_private(user.parent / "named.toml", _network(seed=9))))

    assert load_config().settings.network.seed == 9


def test_with_a_home_only_its_own_file_is_read(user: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_private(user / "p2pnode.toml", _network(seed=4))
    monkeypatch.setenv("P2PNODE_CONFIG", str(write_private(user.parent / "named.toml", _network(seed=3))))
    write_private(user.parent / "home/p2pnode.toml", _network(port=8000))

    network = load_config(home=user.parent / "home").settings.network

    assert (network.port, network.seed) == (8000, 0)


def test_tables_are_merged_key_by_key_and_options_keep_their_types(
    user: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_private(
        user / "p2pnode.toml", '[topology]\nname = "small_world"\nk = 4\n[data.options]\nalpha = 1\n'
    )
    monkeypatch.setenv("P2PNODE_TOPOLOGY__P", "0.25")
    monkeypatch.setenv("P2PNODE_DATA__OPTIONS__ALPHA", "0.5")

    settings = load_config().settings

    assert settings.topology.options == {"k": 4, "p": 0.25}
    assert settings.data.options == {"alpha": 0.5}


def test_a_list_in_a_variable_is_separated_by_commas(user: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("P2PNODE_NETWORK__STATIC", "tcp://a:1, tcp://b:2")

    assert load_config().settings.network.static == ["tcp://a:1", "tcp://b:2"]


def test_a_misspelt_key_is_named_with_its_line_and_the_nearest_setting(user: Path) -> None:
    write_private(user / "p2pnode.toml", "[network]\nprot = 7965\n")

    with pytest.raises(ConfigError) as caught:
        load_config()

    assert str(caught.value) == "network.prot is not a setting (p2pnode.toml, line 2)"
    assert caught.value.fix == "did you mean network.port?"
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("P2PNODE_NETWORK__PROT", "P2PNODE_NETWORK__PORT"),
        ("P2PNODE_NETWORK_PORT", "P2PNODE_NETWORK__PORT"),
        ("P2PNODE_CONFIGS", "P2PNODE_CONFIG"),
    ],
)
def test_a_misspelt_variable_is_an_error_with_a_suggestion(
    user: Path, monkeypatch: pytest.MonkeyPatch, variable: str, meant: str
) -> None:
    monkeypatch.setenv(variable, "1")

    with pytest.raises(ConfigError, match=f"{variable} is not a setting") as caught:
        load_config()

    assert caught.value.fix == f"did you mean {meant}?"


def test_all_errors_of_a_file_are_reported_together(user: Path) -> None:
    write_private(
        user / "p2pnode.toml",
        '[network]\nport = "abc"\nmdns = 3\nmin_peers = 0\nseed = true\nname = "Ab"\n'
        "[netwrok]\nx = 1\n[data]\npart = 5\nparts = 3\n[limits]\nmodel_mb = 'big'\n",
    )

    with pytest.raises(CombinedConfigError) as caught:
        load_config()

    found = {error.what: error.where for error in caught.value.errors}
    assert found == {
        "network.port = 'abc': must be a whole number": "p2pnode.toml, line 2",
        "network.mdns = 3: must be true or false": "p2pnode.toml, line 3",
        "network.min_peers = 0: must be greater than or equal to 1": "p2pnode.toml, line 4",
        "network.seed = True: must be a number, not true or false": "p2pnode.toml, line 5",
        "network.name = 'Ab': must match pattern '^[a-z0-9][a-z0-9-]{0,31}$'": "p2pnode.toml, line 6",
        "netwrok is not a section": "p2pnode.toml, line 7",
        "data: part = 5 is outside 0 to 2 (parts = 3)": "p2pnode.toml, line 9",
        "limits.model_mb = 'big': must be a number": "p2pnode.toml, line 13",
    }
    assert all(error.facts for error in caught.value.errors if error.what.startswith("network."))


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        ("[data]\npart = 1\n", "belong together"),
        ('[data]\npart = 0\nparts = 2\npath = "x.csv"\n', "exclude each other"),
        ("[limits]\nconnect_s = 0\n", "must be greater than 0"),
        ("network = 3\n", "must be a section"),
        ("config_version = 2\n", "config_version"),
        ('[node]\nname = "a\\nb"\n', "printable"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_in_words(user: Path, section: str, problem: str) -> None:
    write_private(user / "p2pnode.toml", section)

    with pytest.raises(ConfigError, match=problem):
        load_config()


def test_a_file_that_was_only_found_may_not_name_code(user: Path) -> None:
    found = write_private(user / "p2pnode.toml", '[task]\nname = "my_lab.flowers:task"\n')

    with pytest.raises(ConfigError, match="names code") as caught:
        load_config()

    assert caught.value.fix == "name the file if you trust it: --config p2pnode.toml"
    assert load_config(file=found.absolute()).settings.task.name == "my_lab.flowers:task"


def test_a_file_that_others_can_write_is_refused_with_the_remedy(user: Path) -> None:
    write_private(user / "p2pnode.toml", "").chmod(0o666)

    with pytest.raises(ConfigError, match="can be changed by others") as caught:
        load_config()

    assert caught.value.fix == "chmod 600 p2pnode.toml"


def test_what_is_not_toml_says_where(user: Path) -> None:
    write_private(user / "p2pnode.toml", "[network\n")

    with pytest.raises(ConfigError, match=r"not valid TOML.*line 1"):
        load_config()


def test_a_named_file_must_exist(user: Path) -> None:
    with pytest.raises(ConfigError, match="there is no config file"):
        load_config(file=Path("nowhere.toml"))


def test_paths_are_relative_to_the_file_that_names_them(user: Path) -> None:
    named = write_private(user.parent / "there/named.toml", '[data]\npath = "rows.csv"\n')

    assert load_config(file=named).settings.data.path == str(user.parent / "there/rows.csv")


@pytest.mark.parametrize(
    ("text", "key", "line"),
    [
        ("[a]\nb = 1\n", "a.b", 2),
        ("a.b = 1\n", "a.b", 1),
        ("[a]\nb = 1\n[c]\nb = 2\n", "c.b", 4),
        ("[a]\n# b = 1\n", "a.b", None),
        ("[a]\n", "a", 1),
        ('text = """\n[a]\nb = 1\n"""\n[a]\nb = 2\n', "a.b", None),
    ],
)
def test_the_line_of_a_key_is_found_or_left_out_when_in_doubt(text: str, key: str, line: int | None) -> None:
    assert find_line(text, key) == line


def test_flat_and_nested_values_are_each_other_s_inverse() -> None:
    values = {"a": {"b": 1, "c": {"d": [2]}}, "e": 3}

    assert nest(flatten(values)) == values
    assert merge({"a": {"b": 1}}, {"a": {"c": 2}}) == {"a": {"b": 1, "c": 2}}


def _network(**values: object) -> str:
    lines = "".join(f"{key} = {_toml(value)}\n" for key, value in values.items())
    return f"[network]\n{lines}"


def _toml(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value).lower()


def test_effective_values_hold_defaults_too(user: Path) -> None:
    effective: Mapping[str, object] = load_config({"topology.degree": 4}).effective()

    assert effective["topology.degree"] == 4
    assert effective["log.level"] == "info"
