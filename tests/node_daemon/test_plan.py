from pathlib import Path

import pytest

from node_daemon.config import load_config
from node_daemon.plan import HASH_BYTES, MAX_WORDS, Plan, plan_of
from p2pfl.errors import ConfigError


def plan(**flags: object) -> Plan:
    return plan_of(load_config({key.replace("__", "."): value for key, value in flags.items()}).settings)


def test_equal_settings_give_equal_plans_whatever_is_private_to_the_node(user: Path) -> None:
    mine = plan(node__name="a", network__port=1, data__part=0, data__parts=2)
    yours = plan(node__name="b", network__port=2, data__part=1, data__parts=2, network__min_peers=3)

    assert mine.hash == yours.hash
    assert len(mine.hash) == HASH_BYTES


@pytest.mark.parametrize(
    "flags",
    [
        {"topology__name": "full_mesh"},
        {"topology__degree": 4},
        {"protocol__name": "cyclic_pass"},
        {"protocol__rounds": 41},
        {"protocol__round_timeout_s": 5.0},
        {"network__seed": 1},
        {"task__name": "digits_softmax"},
        {"task__step": 0.2},
    ],
)
def test_whatever_all_nodes_must_share_changes_the_hash(user: Path, flags: dict[str, object]) -> None:
    assert plan(**flags).hash != plan().hash


def test_absent_rounds_are_the_protocol_s_own(user: Path) -> None:
    assert plan().hash == plan(protocol__rounds=40).hash
    assert plan(protocol__name="random_walk", network__min_peers=5).rounds == 100


def test_the_words_are_short_and_name_everything(user: Path) -> None:
    words = plan(topology__name="partial_mesh", topology__degree=4, protocol__rounds=0).words

    assert words == (
        "topology partial_mesh (degree=4), protocol gossip_averaging, unlimited rounds, seed 0, task digits"
    )
    assert len(plan(**{f"task__option_{i}": i for i in range(50)}).words) == MAX_WORDS


def test_of_a_graph_in_a_file_the_content_counts_not_the_place(user: Path) -> None:
    for name, text in (("a.json", "{}"), ("b.json", "{}"), ("c.json", "[]")):
        (user / name).write_text(text)
    a, b, c = (plan(topology__name="file", topology__path=str(user / f"{name}.json")) for name in "abc")

    assert a.hash == b.hash != c.hash
    with pytest.raises(ConfigError, match="cannot read"):
        plan(topology__name="file", topology__path=str(user / "d.json"))


def test_of_a_task_s_files_the_content_counts_and_of_a_folder_only_that_it_is_one(user: Path) -> None:
    for name, text in (("a.csv", "1"), ("b.csv", "1"), ("c.csv", "2")):
        (user / name).write_text(text)
    for name in ("one", "two"):
        (user / name).mkdir()

    def of(*names: str) -> bytes:
        path: object = [str(user / name) for name in names]
        return plan(task__name="tabular", task__label="x", task__path=path).hash

    assert of("a.csv", "c.csv") == of("b.csv", "c.csv") != of("a.csv", "b.csv")
    one, two = (plan(task__name="idx", task__path=str(user / name)) for name in ("one", "two"))
    assert one.hash == two.hash
