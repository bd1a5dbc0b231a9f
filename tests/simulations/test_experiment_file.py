"""A file holds exactly the keyword arguments of an experiment, and an experiment can be written as one."""

from pathlib import Path

import networkx as nx
import pytest

import topologies
from p2pfl.errors import ConfigError
from p2pfl.learning.numpy_learner import digits_softmax
from simulations import Experiment
from simulations.experiment_file import read_experiment, read_table
from simulations.faults import Faults
from simulations.gossip import Gossip
from simulations.network import Network

TEXT = """
topology = { name = "ring", nodes = 4 }
protocol = "p2pfl.protocols.gossip_averaging:GossipAveraging"
task = { name = "digits_softmax", batch_size = 16 }
partition = "iid"
rounds = 3
seed = 2

[network]
latency_s = { "default" = 0.1, "0->1" = 0.5 }
loss = 0.1

[[faults.crash]]
node = 1
at_s = 1.5
restart_s = 2.5
"""


def written(text: str, folder: Path) -> Path:
    path = folder / "experiment.toml"
    path.write_text(text)
    return path


def test_a_file_and_keyword_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    by_hand = Experiment(
        topology=topologies.ring(4),
        task={"name": "digits_softmax", "batch_size": 16},
        partition="iid",
        rounds=3,
        seed=2,
        network={"latency_s": {"default": 0.1, "0->1": 0.5}, "loss": 0.1},
        faults={"crash": [{"node": 1, "at_s": 1.5, "restart_s": 2.5}]},
    )

    from_file = read_experiment(written(TEXT, tmp_path))

    assert from_file.run().models.tobytes() == by_hand.run().models.tobytes()


def test_a_table_of_an_experiment_makes_the_same_experiment() -> None:
    graph = nx.relabel_nodes(topologies.partial_mesh(6, degree=3, seed=1), dict(enumerate("fbcdea")))
    one = Experiment(
        topology=graph,
        task="digits_softmax",
        rounds=2,
        network=Network(latency_s=0.2, loss=0.1),
        membership=Gossip(heartbeat_s=2.0),
    )

    table = one.to_table()
    other = Experiment.from_table(table)

    assert table["network"] == {"latency_s": 0.2, "loss": 0.1}
    assert table["membership"] == {"name": "gossip", "heartbeat_s": 2.0}
    assert other.to_table() == table
    assert other.run().models.tobytes() == one.run().models.tobytes()


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"topology": topologies.static(topologies.ring(3))}, "topology"),
        ({"task": digits_softmax()}, "task"),
        ({"compute": lambda node, training: 1.0}, "compute"),
        ({"faults": Faults()}, "faults"),
        ({"network": {"loss": lambda sender, receiver: 0.1}}, "network.loss"),
    ],
)
def test_what_no_file_can_hold_is_said_and_described_in_the_result(
    changes: dict[str, object], key: str
) -> None:
    settings = {"topology": "ring", "nodes": 3, "task": "digits_softmax", "rounds": 1, **changes}
    experiment = Experiment(**settings)  # type: ignore[arg-type]

    with pytest.raises(ConfigError, match="no file can hold") as caught:
        experiment.to_table()

    assert caught.value.where == key
    described = experiment.run().config[key.partition(".")[0]]
    assert isinstance(described, str)
    assert described.startswith("<")


@pytest.mark.parametrize(
    ("line", "where", "words", "fix"),
    [
        ("protocl = 'push_sum'", "protocl", "unknown key 'protocl'; known: ", "did you mean protocol?"),
        ("seed = [1, 2]", "seed", "a sweep over 2 values", "p2pnode sim run FILE.toml runs sweeps"),
        ("protocol = 5", "protocol", "protocol must be a name, or a table with a name and options", ""),
        ("task = 1979-05-27", "task", "task must be a name", ""),
        ("network = 0.1", "network", "network must be a table", ""),
        ("engine = 1", "engine", "engine must be a text", ""),
    ],
)
def test_a_wrong_key_or_value_is_named_with_its_file(
    line: str, where: str, words: str, fix: str, tmp_path: Path
) -> None:
    path = written(line, tmp_path)

    with pytest.raises(ConfigError) as caught:
        read_experiment(path)

    assert caught.value.where == f"{path}: {where}"
    assert words in caught.value.what
    assert caught.value.fix == fix


@pytest.mark.parametrize("text", ["rounds = = 2", "\ufffe"])
def test_a_file_that_is_none_is_named(text: str, tmp_path: Path) -> None:
    path = written("", tmp_path)
    path.write_bytes(text.encode("utf-16"))

    for place, words in (
        (path, "not TOML"),
        (tmp_path, "cannot read"),
        (tmp_path / "no.toml", "cannot read"),
    ):
        with pytest.raises(ConfigError, match=words) as caught:
            read_table(place)
        assert caught.value.where == str(place)


@pytest.mark.parametrize(
    ("topology", "where"),
    [
        ({"nodes": 2, "edges": [[0, 2]]}, "topology.edges"),
        ({"nodes": 2, "edges": [[0]]}, "topology.edges"),
        ({"nodes": 2, "edges": 3}, "topology.edges"),
        ({"nodes": 0, "edges": []}, "topology.nodes"),
        ({"nodes": 2, "edges": [[0, 1]], "directed": 1}, "topology.directed"),
        ({"nodes": 2, "edges": [[0, 1]], "weight": 1}, "topology.weight"),
    ],
)
def test_a_graph_that_is_written_wrong_is_refused_with_its_key(
    topology: dict[str, object], where: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        Experiment(topology=topology).setting()

    assert caught.value.where == where
