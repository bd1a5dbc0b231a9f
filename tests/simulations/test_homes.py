"""Homes for daemons: what each is told, and how they can find each other."""

import json
import tomllib
from pathlib import Path

import networkx as nx
import pytest

import topologies
from node_daemon.config import load_config
from p2pfl.errors import ConfigError
from simulations.homes import Deployment, free_ports, write_homes


def _config(home: Path) -> dict[str, dict[str, object]]:
    return tomllib.loads((home / "p2pnode.toml").read_text("utf-8"))


def test_the_daemon_accepts_every_key_of_a_home(tmp_path: Path) -> None:
    deployment = Deployment(graph=topologies.ring(3), rounds=7, seed=4, discovery="mdns", network="demo-1")

    homes = write_homes(deployment, tmp_path)

    settings = [load_config(home=home).settings for home in homes]
    assert [one.node.number for one in settings] == [0, 1, 2]
    assert [one.data.part for one in settings] == [0, 1, 2]
    assert {one.data.parts for one in settings} == {3}
    assert {one.protocol.rounds for one in settings} == {7}
    assert {one.network.min_peers for one in settings} == {3}
    assert {(one.network.name, one.network.seed) for one in settings} == {("demo-1", 4)}


def test_options_stand_beside_the_names_they_belong_to(tmp_path: Path) -> None:
    deployment = Deployment(
        graph=topologies.ring(3),
        protocol={"name": "cyclic_pass", "order": "shuffled"},
        task={"name": "digits_softmax", "batch_size": 8},
        partition={"name": "dirichlet", "alpha": 0.1},
    )

    home, *_ = write_homes(deployment, tmp_path)

    config = _config(home)
    assert config["protocol"] == {"name": "cyclic_pass", "order": "shuffled"}
    assert config["task"] == {"name": "digits_softmax", "batch_size": 8}
    assert (config["data"]["partition"], config["data"]["options"]) == ("dirichlet", {"alpha": 0.1})


def test_static_addresses_name_every_other_daemon(tmp_path: Path) -> None:
    homes = write_homes(Deployment(graph=topologies.full_mesh(4), discovery="static"), tmp_path)

    network = [_config(home)["network"] for home in homes]
    ports = [one["port"] for one in network]
    assert len(set(ports)) == 4
    for i, one in enumerate(network):
        assert one["mdns"] is False
        assert one["static"] == [f"tcp://127.0.0.1:{port}" for port in ports if port != ports[i]]


def test_with_zeroconf_the_system_chooses_the_ports(tmp_path: Path) -> None:
    homes = write_homes(Deployment(graph=topologies.ring(3), discovery="mdns"), tmp_path)

    for home in homes:
        network = _config(home)["network"]
        assert (network["port"], network["static"], network["mdns"]) == (0, [], True)


def test_two_deployments_are_two_networks() -> None:
    assert Deployment(graph=topologies.ring(3)).network != Deployment(graph=topologies.ring(3)).network


def test_the_graph_file_names_the_nodes_in_their_order(tmp_path: Path) -> None:
    graph = nx.DiGraph([(2, 0), (0, 1), (1, 2)])

    write_homes(Deployment(graph=graph), tmp_path)

    found = json.loads((tmp_path / "graph.json").read_text("utf-8"))
    assert [node["id"] for node in found["nodes"]] == ["node-0", "node-1", "node-2"]
    assert found["directed"] is True
    edges = {(edge["source"], edge["target"]) for edge in found["edges"]}
    assert edges == {("node-2", "node-0"), ("node-0", "node-1"), ("node-1", "node-2")}


def test_the_graph_file_is_read_back_as_the_same_graph(tmp_path: Path) -> None:
    graph = topologies.one_way_ring(5)

    write_homes(Deployment(graph=graph), tmp_path)

    members = {f"id-{9 - i}": f"node-{i}" for i in range(5)}
    options = {"path": str(tmp_path / "graph.json"), "names": members}
    read = topologies.for_members("file", sorted(members), seed=0, **options)
    assert list(read) == list(members)  # node 0 first, whatever its id
    assert {(members[u], members[v]) for u, v in read.edges} == {
        (f"node-{u}", f"node-{v}") for u, v in graph.edges
    }


def test_nodes_that_are_not_numbered_from_zero_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="must be 0 to 2"):
        write_homes(Deployment(graph=nx.path_graph(["a", "b", "c"])), tmp_path)


def test_free_ports_differ() -> None:
    assert len(set(free_ports(20))) == 20
