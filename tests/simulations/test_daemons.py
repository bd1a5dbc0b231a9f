"""What is known of a daemon from its files."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from p2pfl.errors import P2PError
from simulations.daemons import Daemon


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    (tmp_path / "state").mkdir()
    made = Daemon(3, tmp_path)
    yield made
    made.forget()


def _append(daemon: Daemon, text: str) -> None:
    with (daemon.home / "state" / "journal.jsonl").open("a") as file:
        file.write(text)


def _round(number: int, **figures: float) -> str:
    return json.dumps({"event": "round.done", "round": number, **figures}) + "\n"


def test_a_daemon_without_a_journal_has_done_nothing(daemon: Daemon) -> None:
    daemon.read_journal()

    assert (daemon.round, daemon.accuracy, daemon.is_done) == (0, None, False)


def test_rounds_and_accuracy_come_from_the_journal(daemon: Daemon) -> None:
    _append(daemon, _round(1, accuracy=0.5, loss=1.5))
    daemon.read_journal()
    _append(daemon, _round(2, accuracy=0.75, loss=0.5))
    daemon.read_journal()

    assert (daemon.round, daemon.accuracy) == (2, 0.75)
    assert [record["round"] for record in daemon.records] == [1, 2]


def test_half_a_line_is_read_when_the_rest_has_come(daemon: Daemon) -> None:
    line = _round(1, accuracy=0.5)
    _append(daemon, line[:20])
    daemon.read_journal()
    assert daemon.round == 0

    _append(daemon, line[20:])
    daemon.read_journal()
    assert daemon.round == 1


def test_a_line_torn_by_a_crash_is_passed_over(daemon: Daemon) -> None:
    _append(daemon, '{"event": "rou\n' + _round(4, accuracy=0.5))

    daemon.read_journal()

    assert daemon.round == 4


def test_a_journal_that_was_replaced_is_followed_to_its_end_and_into_the_new_one(daemon: Daemon) -> None:
    journal = daemon.home / "state" / "journal.jsonl"
    _append(daemon, _round(1, accuracy=0.1))
    daemon.read_journal()

    _append(daemon, _round(2, accuracy=0.2))
    journal.rename(journal.with_suffix(".1"))
    _append(daemon, _round(3, accuracy=0.3))
    daemon.read_journal()

    assert [record["round"] for record in daemon.records] == [1, 2, 3]


def test_done_means_finished_and_its_last_round_evaluated(daemon: Daemon) -> None:
    _append(daemon, _round(1, accuracy=0.5) + json.dumps({"event": "run.finished", "round": 2}) + "\n")
    daemon.read_journal()
    assert not daemon.is_done

    _append(daemon, _round(2, accuracy=0.5))
    daemon.read_journal()
    assert daemon.is_done


def test_the_model_is_the_one_of_the_newest_checkpoint(daemon: Daemon) -> None:
    for sequence in (9, 10):  # 10 is newer, also where text would sort it first
        path = daemon.home / "state" / f"ckpt-0000000{sequence % 2}.{sequence:032x}.safetensors"
        facts = {"p2pnode": json.dumps({"sequence": sequence, "round": 3})}
        save_file({"model": np.full(4, sequence, np.float32)}, path, metadata=facts)

    assert daemon.model().tolist() == [10.0] * 4


def test_a_daemon_without_a_checkpoint_has_no_model(daemon: Daemon) -> None:
    with pytest.raises(P2PError, match="node-3 has no checkpoint"):
        daemon.model()


def test_the_memory_of_a_process_is_measured(daemon: Daemon) -> None:
    daemon.pid = os.getpid()

    assert 1 << 20 < daemon.proportional_set_size() < 1 << 33


def test_an_unexpected_end_quotes_the_log(daemon: Daemon) -> None:
    daemon.log.write_text("".join(f"line {i}\n" for i in range(9)), "utf-8")
    daemon.exit_code = 6

    error = daemon.ended_by_itself()

    assert "node-3 has ended by itself with exit code 6" in str(error)
    assert error.facts[-1] == "line 8"
    assert error.exit_code == 6
