import re
import tomllib
from pathlib import Path

import pytest

from node_daemon.choices import check_names
from node_daemon.config import Config, load_config
from node_daemon.edit import set_value, template
from p2pfl import registry
from p2pfl.errors import ConfigError
from tests.node_daemon.conftest import write_private


def change(path: Path, key: str, text: str) -> Config:
    return set_value(path, key, text, check=check_names)


def test_the_template_sets_what_was_given_and_shows_the_rest_as_comments(user: Path) -> None:
    text = template({"network.name": "lab"})

    assert tomllib.loads(text)["network"] == {"name": "lab"}
    assert "# port = 7964" in text
    assert load_config(file=write_private(user / "new.toml", text)).settings.network.name == "lab"


def test_every_commented_default_of_the_template_is_valid_as_it_stands(user: Path) -> None:
    active = re.sub(r"(?m)^# (\w+ = (?!\.\.\.))", r"\1", template({}))

    config = load_config(file=write_private(user / "all.toml", active))

    assert "all.toml, line" in config.where("limits.model_mb")
    assert config.settings == load_config().settings


def test_setting_a_key_keeps_every_comment(user: Path) -> None:
    path = write_private(user / "c.toml", "# mine\n[network] # here\nport = 1 # old\n\n# end\n")

    change(path, "network.port", "8000")
    change(path, "network.static", "tcp://a:1,tcp://b:2")
    change(path, "data.options.alpha", "0.5")
    config = change(path, "node.name", "12")

    text = path.read_text()
    assert all(comment in text for comment in ("# mine", "# here", "# old", "# end"))
    assert config.settings.network.port == 8000
    assert config.settings.network.static == ["tcp://a:1", "tcp://b:2"]
    assert config.settings.data.options == {"alpha": 0.5}
    assert config.settings.node.name == "12"
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("key", "text", "problem"),
    [
        ("network.prot", "1", "network.prot is not a setting"),
        ("network.port", "99999", "less than or equal to 65535"),
        ("topology.name", "rign", "unknown topology 'rign'"),
        ("protocol.name", "gosip", "unknown protocol 'gosip'"),
        ("data.partition", "iidd", "unknown partition 'iidd'"),
    ],
)
def test_nothing_invalid_is_written(user: Path, key: str, text: str, problem: str) -> None:
    path = write_private(user / "c.toml", "[network]\nport = 1\n")

    with pytest.raises(ConfigError, match=problem):
        change(path, key, text)

    assert path.read_text() == "[network]\nport = 1\n"
    assert list(user.iterdir()) == [path]


def test_a_file_that_does_not_exist_yet_is_made(user: Path) -> None:
    change(user / "new/c.toml", "network.seed", "3")

    assert tomllib.loads((user / "new/c.toml").read_text()) == {"network": {"seed": 3}}


def test_the_template_names_every_registered_item() -> None:
    text = template({})

    for kind in ("protocol", "task", "partition"):
        assert ", ".join(registry.names(kind)) in text
