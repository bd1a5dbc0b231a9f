"""How many node-rounds per second the engines simulate, beside a plain Python loop over torch modules.

``loop`` has a data loader per node, as one writes it with what torch offers; ``lean loop`` takes its
mini-batches out of tensors by hand (``simulations.benchmarks.simulator_work``).  Ratios are to ``loop``.
Every measurement has a process of its own, with two threads.  The engines take turns, since a shared machine
drifts: a ratio compares neighbours in time, and the figures are medians over the repeats.
"""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from p2pfl.errors import P2PError
from simulations.benchmarks.simulator_case import LOOPS, THREADS

NODES = (100, 1_000, 10_000)
MODELS = ("mlp", "softmax")
ENGINES = ("vectorised", "event", *LOOPS)
LOOP_NODES = 1_000  # beyond, the loop's speed is that of so many
# Of one measurement, at least.
NODE_ROUNDS: Mapping[str, int] = {
    "vectorised": 100_000,
    "event": 40_000,
    "loop": 3_000,
    "lean loop": 3_000,
}  # at least, at a time
LEAST_ROUNDS, MOST_ROUNDS = 3, 200
MESSAGES: Sequence[tuple[int, int]] = ((1_000, 20), (2_000, 20))  # nodes, rounds
TIMEOUT_S = 1800.0


@dataclass(frozen=True, slots=True)
class Row:
    """One engine on one model and number of nodes."""

    engine: str
    model: str
    nodes: int
    node_rounds_per_s: float
    peak_memory_bytes: int
    ratio_to_loop: float
    is_extrapolated: bool = False  # from the speed with fewer nodes

    def as_json(self) -> dict[str, str | int | float | bool]:
        """The row as plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Overhead:
    """What a message costs the event engine itself."""

    nodes: int
    messages: int
    us_per_message: float


def measure(*, repeats: int, nodes: Sequence[int] = NODES, models: Sequence[str] = MODELS) -> list[Row]:
    """A row per model, number of nodes and engine."""
    return [row for model in models for count in nodes for row in _rows(model, count, repeats)]


def measure_messages(*, repeats: int, cases: Sequence[tuple[int, int]] = MESSAGES) -> list[Overhead]:
    """The event engine without training."""
    found = []
    for nodes, rounds in cases:
        runs = [_case("messages", "-", nodes, rounds=rounds) for _ in range(repeats)]
        messages = int(runs[0]["messages"])
        seconds = statistics.median(run["seconds"] for run in runs)
        found.append(Overhead(nodes, messages, 1e6 * seconds / messages))
    return found


def _rows(model: str, nodes: int, repeats: int) -> list[Row]:
    speeds: dict[str, list[float]] = {engine: [] for engine in ENGINES}
    peaks = dict.fromkeys(ENGINES, 0)
    for _ in range(repeats):
        for engine in ENGINES:
            count = min(nodes, LOOP_NODES) if engine in LOOPS else nodes
            rounds = min(MOST_ROUNDS, max(LEAST_ROUNDS, NODE_ROUNDS[engine] // count))
            found = _case(engine, model, count, rounds=rounds)
            speeds[engine].append(count * rounds / found["seconds"])
            peaks[engine] = max(peaks[engine], int(found["peak_memory_bytes"]))
    ratios = {
        engine: statistics.median(
            own / loop for own, loop in zip(speeds[engine], speeds["loop"], strict=True)
        )
        for engine in ENGINES
    }
    return [
        Row(
            engine,
            model,
            nodes,
            statistics.median(speeds[engine]),
            peaks[engine],
            ratios[engine],
            is_extrapolated=engine in LOOPS and nodes > LOOP_NODES,
        )
        for engine in ENGINES
    ]


def _case(engine: str, model: str, nodes: int, *, rounds: int) -> Mapping[str, float]:
    command = [sys.executable, "-m", "simulations.benchmarks.simulator_case"]
    environment = {**os.environ, "OMP_NUM_THREADS": str(THREADS), "MKL_NUM_THREADS": str(THREADS)}
    done = subprocess.run(
        [*command, engine, model, str(nodes), str(rounds)],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
        timeout=TIMEOUT_S,
    )
    if done.returncode:
        last = done.stderr.strip().splitlines()[-3:]
        raise P2PError(f"the measurement of {engine} with {nodes} nodes has failed", facts=last)
    found: Mapping[str, float] = json.loads(done.stdout)
    return found
