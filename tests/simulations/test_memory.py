"""How much memory the recursions on arrays need, in units of all models as float32."""

import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray

import topologies
from p2pfl.learning.batched_learner import CHUNK_BYTES
from p2pfl.learning.swarm_learner import Rows
from simulations.mixing import fastest_mixing
from simulations.vectorised import gossip_averaging
from simulations.vectorised_push_sum import push_shares, push_sum

BOUND = 6.0  # units, beside the data and what is in work in chunks
NODES, PARAMETERS, ROUNDS = 9000, 2410, 2  # of the benchmark's work
UNIT = 4 * NODES * PARAMETERS
ENGINE = """
import sys
from dataclasses import replace
import torch
torch.set_num_threads(1)
from simulations.benchmarks.simulator_work import experiment
from simulations.vectorised_engine import run_vectorised

def setting(nodes):
    work = experiment("vectorised", "mlp", nodes, rounds=int(sys.argv[3]))
    return replace(work, protocol=sys.argv[1]).setting()

def status(name):
    lines = open("/proc/self/status").read().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(name)).split()[1])

work = setting(int(sys.argv[2]))
run_vectorised(setting(200), 0)  # all is loaded now
before = status("VmRSS")
run_vectorised(work, 0)
print(status("VmHWM") - before)
"""


def add_one(X: Rows, _: int) -> Rows:
    return X + X.dtype.type(1)


def averages(X: Rows) -> Callable[[Rows], Rows]:
    W = topologies.metropolis_weights(topologies.ring(len(X)))
    return partial(
        gossip_averaging, W=W, rounds=3, train=add_one, mixing=partial(fastest_mixing, parameters=X.shape[1])
    )


def pushes(X: Rows) -> Callable[[Rows], Rows]:
    W = topologies.metropolis_weights(topologies.ring(len(X)))
    return partial(push_sum, C=push_shares(W), rounds=3, train=add_one)


@pytest.mark.parametrize(
    ("recursion", "dtype", "units"),
    [
        (averages, np.float32, 2.0),
        (averages, np.float64, 4.0),
        (pushes, np.float32, 4.0),
        (pushes, np.float64, 6.0),
    ],
)
def test_a_recursion_holds_no_more_than_what_it_is_making_and_from_what(
    recursion: Callable[[Rows], Callable[[Rows], Rows]], dtype: type[np.floating], units: float
) -> None:
    X: NDArray[np.float64] = np.zeros((200, 20_000), dtype)
    run = recursion(X)
    tracemalloc.start()
    try:
        run(X)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak / (4 * X.size) < units + 0.4  # blocks


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("protocol", ["gossip_averaging", "push_sum"])
def test_the_engine_needs_six_times_the_models_beside_data_and_chunks(protocol: str) -> None:
    command = [sys.executable, "-c", ENGINE, protocol, str(NODES), str(ROUNDS)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert UNIT < int(done.stdout) < BOUND * UNIT + CHUNK_BYTES  # of one thread
