"""In deterministic mode a run whose daemons are killed ends with the bytes of one that nobody disturbed."""

from collections.abc import Mapping

import networkx as nx
import numpy as np
import pytest
from safetensors import safe_open

import topologies
from node_daemon.files import IDENTITY_FILE, create_exclusively
from p2pfl.identity.keys import to_pem
from simulations.daemons import Daemon
from simulations.homes import Deployment
from simulations.processes import Processes
from tests.p2pfl.identities import someone

TIMEOUT_S = 50.0
SEED = 11
SOFTMAX = {"name": "digits_softmax", "local_epochs": 4}
MOMENTUM = {"name": "digits", "momentum": 0.9, "local_epochs": 1}


def deployment(graph: nx.Graph, task: Mapping[str, object], rounds: int) -> Deployment:
    return Deployment(graph=graph, rounds=rounds, task=task, seed=SEED, is_deterministic=True)


def contents(daemon: Daemon) -> dict[str, bytes]:
    """Model, momentum and all else in the newest checkpoint, by name."""
    paths = (daemon.home / "state").glob("ckpt-*.safetensors")
    with safe_open(str(max(paths, key=lambda path: int(path.name[5:13]))), framework="np") as file:
        return {name: file.get_tensor(name).tobytes() for name in file.keys()}  # noqa: SIM118


def run(found: Deployment, kills: list[tuple[int, list[int]]]) -> list[dict[str, bytes]]:
    """What the daemons have at the end; each kill: once the first has done so many rounds, these end."""
    with Processes(found) as processes:
        for daemon in processes.daemons:  # models are summed in the order of the ids
            create_exclusively(daemon.home / IDENTITY_FILE, to_pem(someone(daemon.name)))
        processes.start()
        for number, victims in kills:
            processes.wait(
                lambda: max(d.round for d in processes.daemons) >= number,  # noqa: B023
                timeout_s=TIMEOUT_S,
                poll_s=0.001,
            )
            for victim in victims:
                processes.kill(victim)
            processes.start(victims)
        processes.wait_done(timeout_s=TIMEOUT_S)
        processes.stop_all()
        return [contents(daemon) for daemon in processes.daemons]


@pytest.mark.slow
def test_a_lone_learner_that_is_killed_ends_bit_for_bit_as_one_that_is_not() -> None:
    found = deployment(nx.empty_graph(1), SOFTMAX, rounds=12)
    first, second = np.random.default_rng(SEED).integers(2, 10, size=2)

    killed = run(found, [(int(min(first, second)), [0]), (int(max(first, second)), [0])])

    assert killed == run(found, [])


@pytest.mark.slow
def test_momentum_survives_a_kill_bit_for_bit() -> None:
    found = deployment(nx.empty_graph(1), MOMENTUM, rounds=12)

    undisturbed = run(found, [])

    assert any(name.startswith("state/") for name in undisturbed[0])
    assert run(found, [(4, [0]), (9, [0])]) == undisturbed


@pytest.mark.slow
@pytest.mark.parametrize("task", [SOFTMAX, MOMENTUM], ids=["softmax", "momentum"])
def test_gossip_among_killed_daemons_ends_bit_for_bit_as_undisturbed(task: Mapping[str, object]) -> None:
    found = deployment(topologies.ring(5), task, rounds=24)
    random = np.random.default_rng(SEED)
    rounds = sorted(int(number) for number in random.integers(2, 20, size=4))
    victims = [[int(node) for node in random.permutation(5)[:count]] for count in (1, 2, 5, 1)]

    killed = run(found, list(zip(rounds, victims, strict=True)))

    assert killed == run(found, [])
