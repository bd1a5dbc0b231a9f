"""``p2pnode demo``: daemons on this computer find each other, learn together, and a table says what for."""

import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import cast

import networkx as nx

import topologies
from p2pfl import registry
from p2pfl.errors import ConfigError
from p2pfl.protocols.protocol import ExchangeProtocol
from simulations.demo_baselines import Baselines, baselines, pooled_updates
from simulations.demo_display import Display, closing_table
from simulations.demo_result import DISCOVERY, SCHEMA_VERSION, Result
from simulations.homes import Deployment
from simulations.processes import Processes

TASK = "digits"
PARTITION: Mapping[str, object] = {"name": "dirichlet", "alpha": 0.5}
MIN_NODES, MAX_NODES = 2, 64
TIMEOUT_S = 600.0
DONE, TARGET_MISSED, INTERRUPTED = 0, 10, 130  # exit codes


def run_demo(
    *,
    nodes: int = 5,
    topology: str = "ring",
    protocol: str = "gossip_averaging",
    rounds: int | None = None,
    seed: int = 0,
    as_json: bool = False,
) -> int:
    """Run the demo and print its table, or one JSON object; the exit code.

    10 says that the target was missed (``Result.is_target_reached``), 130 and 143 that a signal ended it.
    """
    started_s = time.monotonic()
    graph = _graph(nodes, topology, seed)
    budget = _rounds(protocol, nodes, rounds)
    deployment = Deployment(
        graph=graph,
        protocol={"name": protocol},
        rounds=budget,
        task={"name": TASK},
        partition=PARTITION,
        seed=seed,
        discovery=DISCOVERY,
        network=f"demo-{os.urandom(4).hex()}",
    )
    try:
        with (
            _ended_by_signals() as ended,
            Display(nodes, budget, is_silent=as_json) as display,
            Processes(deployment) as processes,
        ):
            found, together = _compare(deployment, processes, display)
    except KeyboardInterrupt:
        return _interrupted(ended, as_json=as_json)
    seconds = time.monotonic() - started_s
    result = Result(topology, protocol, budget, seed, found, together, seconds)
    if as_json:
        sys.stdout.write(json.dumps(result.to_json()) + "\n")
    else:
        closing_table(result)
    return DONE if result.is_target_reached else TARGET_MISSED


@contextmanager
def _ended_by_signals() -> Iterator[list[int]]:
    """Ctrl-C or SIGTERM raises KeyboardInterrupt; a second one does not disturb the end of the daemons."""
    received: list[int] = []

    def end(number: int, _: FrameType | None) -> None:
        received.append(number)
        if len(received) == 1:
            raise KeyboardInterrupt

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupted(received: list[int], *, as_json: bool) -> int:
    code = 128 + received[0] if received else INTERRUPTED
    if as_json:
        stopped = {"code": code, "what": "stopped", "where": "", "facts": [], "fix": ""}
        sys.stdout.write(json.dumps({"schema_version": SCHEMA_VERSION, "error": stopped}) + "\n")
    else:
        sys.stderr.write("stopped: all daemons have ended\n")
    return code


def _compare(
    deployment: Deployment, processes: Processes, display: Display
) -> tuple[Baselines, tuple[float, ...]]:
    """Baselines first, while the fork server imports; then the daemons."""
    processes.prepare()
    display.say(f"training {deployment.nodes} nodes alone, and one learner with all their data")
    protocol = str(deployment.protocol["name"])
    budget = deployment.rounds or 0
    found = baselines(
        task=TASK,
        partition=PARTITION,
        nodes=deployment.nodes,
        rounds=budget,
        pooled_updates=pooled_updates(protocol, deployment.nodes, budget),
        seed=deployment.seed,
    )
    display.say(f"{deployment.nodes} daemons look for each other (network {deployment.network}, zeroconf)")
    processes.start()
    processes.wait_done(timeout_s=TIMEOUT_S, on_poll=display.show)
    processes.stop_all()
    return found, tuple(daemon.accuracy or 0.0 for daemon in processes.daemons)


def _graph(nodes: int, topology: str, seed: int) -> nx.Graph:
    if not MIN_NODES <= nodes <= MAX_NODES:
        raise ConfigError(
            f"a demo of {nodes} nodes", where="--nodes", fix=f"take {MIN_NODES} to {MAX_NODES}", exit_code=2
        )
    return topologies.build(topology, nodes, seed)


def _rounds(protocol: str, nodes: int, rounds: int | None) -> int:
    if rounds is not None and rounds < 1:
        raise ConfigError(f"a demo of {rounds} rounds", where="--rounds", fix="take 1 or more", exit_code=2)
    known = cast(type[ExchangeProtocol], registry.resolve("protocol", protocol))
    return rounds or known.default_rounds(nodes)
