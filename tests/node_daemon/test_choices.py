from pathlib import Path

import pytest

from node_daemon.choices import check_choices
from node_daemon.config import CombinedConfigError, load_config
from p2pfl.errors import ConfigError
from tests.node_daemon.conftest import write_private

SOFTMAX = '[task]\nname = "digits_softmax"\n'


@pytest.mark.parametrize(
    ("text", "what", "where", "fix"),
    [
        ('[topology]\nname = "rign"\n', "unknown topology 'rign'", "line 2", "did you mean ring?"),
        ('[protocol]\nname = "random_wolk"\n', "unknown protocol 'random_wolk'", "line 2", "random_walk"),
        (
            "[protocol]\nround_timeout = 3\n",
            "'gossip_averaging': 'round_timeout'",
            "line 2",
            "round_timeout_s",
        ),
        ('[topology]\nname = "partial_mesh"\ndegree = 3\n', "must be even", "line 2", "degree = 2 or 4"),
        ('[topology]\nnam = "ring"\n', "option of topology 'ring': 'nam'", "line 2", "topology.name?"),
        ("[topology]\ndegre = 4\n", "option of topology 'ring': 'degre'", "line 2", ""),
        ('[data]\npartition = "dirichle"\n', "unknown partition 'dirichle'", "line 2", "dirichlet"),
        ("[data.options]\nalfa = 1\n", "option of partition 'dirichlet': 'alfa'", "line 2", "alpha"),
        ('[network]\nmin_peers = 5\n[topology]\nname = "hypercube"\n', "hypercube", "line 4", ""),
    ],
)
def test_a_choice_that_cannot_work_is_refused_at_its_line(
    user: Path, text: str, what: str, where: str, fix: str
) -> None:
    write_private(user / "p2pnode.toml", text + SOFTMAX)

    with pytest.raises(ConfigError) as caught:
        check_choices(load_config())

    assert what in caught.value.what
    assert where in caught.value.where
    assert fix in caught.value.fix


def test_several_wrong_choices_are_reported_together(user: Path) -> None:
    write_private(user / "p2pnode.toml", '[topology]\nname = "rign"\n[protocol]\nname = "gosip"\n' + SOFTMAX)

    with pytest.raises(CombinedConfigError) as caught:
        check_choices(load_config())

    assert [error.what.partition(";")[0] for error in caught.value.errors] == [
        "unknown topology 'rign'",
        "unknown protocol 'gosip'",
    ]


def test_a_size_that_nobody_has_stated_is_not_held_against_a_topology(user: Path) -> None:
    check_choices(load_config({"topology.name": "torus", "task.name": "digits_softmax"}))


def test_code_from_elsewhere_is_named_by_import_path(user: Path) -> None:
    flags = {"task.name": "p2pfl.learning.numpy_learner:digits_softmax", "topology.name": "topologies:ring"}
    check_choices(load_config(flags))

    with pytest.raises(ConfigError, match="no module named 'my_lab'"):
        check_choices(load_config({"task.name": "my_lab:task"}))
