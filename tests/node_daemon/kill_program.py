"""Kills a writer of checkpoints again and again, and looks after each time; run by ``test_kill_series.py``.

Arguments: folder, number of kills, seed.  A child writes rounds without end, and says so of each in a pipe
once ``write`` has returned.  It is killed at a random instant, or kills itself at one of the failpoints; the
next child goes on from what ``load_newest`` finds.  Prints one JSON object.
"""

import json
import os
import select
import signal
import sys
from itertools import count as count_from
from pathlib import Path
from typing import NoReturn

import numpy as np

from node_daemon import checkpoint as checkpoints
from node_daemon.checkpoint_writer import CheckpointWriter
from node_daemon.disk import POINTS, nowhere
from p2pfl.model import Checkpoint, Model, Snapshot

PARAMETERS = 50_000  # 200 KB
MAX_WRITES = 5  # before a child kills itself at a failpoint
MAX_LIFE_S = 0.03  # of a child that is killed from outside
PLAN = b"the plan"
NUMBER = 4  # bytes of a round in the pipe


def at_round(round: int) -> Checkpoint:
    """The whole unit is a function of the round, so that a mixture of two would be seen."""
    params = np.random.default_rng(round).normal(size=PARAMETERS).astype(np.float32)
    momentum = np.random.default_rng([round, 1]).normal(size=PARAMETERS // 2)
    return Checkpoint(Model(params, round), {"momentum": momentum}, Snapshot({"mark": round}), round)


def is_whole(found: Checkpoint) -> bool:
    expected = at_round(found.round)
    return (
        found.model.params.tobytes() == expected.model.params.tobytes()
        and found.model.age == found.round
        and found.state["momentum"].tobytes() == expected.state["momentum"].tobytes()
        and found.snapshot.values == {"mark": found.round}
    )


class KillAt:
    """Kills the process when a point is reached for the n-th time."""

    def __init__(self, point: str, count: int) -> None:
        self._point = point
        self._left = count

    def __call__(self, reached: str) -> None:
        self._left -= reached == self._point
        if not self._left:
            os.kill(os.getpid(), signal.SIGKILL)


def write_rounds(folder: Path, announce: int, *, point: str, count: int) -> NoReturn:
    """In the child."""
    try:
        found = checkpoints.load_newest(folder, plan=PLAN)
        reached = KillAt(point, count) if point else nowhere
        writer = CheckpointWriter(folder, plan=PLAN, reached=reached)
        for number in count_from(1 if found is None else found.round + 1):
            writer.write(at_round(number))
            os.write(announce, number.to_bytes(NUMBER, "little"))
    finally:
        os._exit(1)  # a writer that was not killed has failed


def live_and_die(folder: Path, random: np.random.Generator, point: str) -> tuple[int, bool]:
    """One child; the last round that it announced (0: none), and whether it was killed as planned."""
    reader, announce = os.pipe()
    count = int(random.integers(1, MAX_WRITES + 1))
    life_s = None if point else float(random.uniform(0, MAX_LIFE_S))
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        write_rounds(folder, announce, point=point, count=count)
    os.close(announce)
    if life_s is not None:
        select.select([], [], [], life_s)
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    announced = b""
    while block := os.read(reader, 65_536):
        announced += block
    os.close(reader)
    return int.from_bytes(announced[-NUMBER:], "little"), os.waitstatus_to_exitcode(status) == -signal.SIGKILL


def main(folder: Path, kills: int, seed: int) -> dict[str, object]:
    random = np.random.default_rng(seed)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    last, problems, found_by_point = 0, [], dict.fromkeys(("", *POINTS), 0)
    for kill in range(kills):
        # Half of the kills at random instants, the others at each point in turn.
        point = POINTS[kill // 2 % len(POINTS)] if kill % 2 else ""
        announced, was_killed = live_and_die(folder, random, point)
        last = max(last, announced)
        left = sorted(os.listdir(folder))
        found = checkpoints.load_newest(folder, plan=PLAN)
        number = 0 if found is None else found.round
        if not was_killed or not last <= number <= last + 1 or (found is not None and not is_whole(found)):
            problems.append(f"kill {kill} at {point or 'random'}: announced {last}, found {number}: {left}")
        if any(name.endswith(".corrupt") for name in os.listdir(folder)):
            problems.append(f"kill {kill} at {point or 'random'}: {left}")
        last = number
        found_by_point[point] += 1
    return {
        "kills": kills,
        "round": last,
        "problems": problems,
        "by_point": found_by_point,
        "torch": "torch" in sys.modules,
        "files": len(os.listdir(folder)),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
