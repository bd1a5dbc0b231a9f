"""The journal: whole lines, torn ones ignored, bounded, and readable while it is written."""

import json
import os
import stat
from pathlib import Path

import pytest

from node_daemon.journal import MAX_LINE_BYTES, Journal, JournalReader, read_journal
from p2pfl.errors import StateError


def rounds(records: object) -> list[object]:
    return [record["round"] for record in records]  # type: ignore[attr-defined]


def test_lines_are_json_with_time_and_event(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    journal = Journal(folder)

    journal.append("round.done", round=42, accuracy=0.9, merged=("a", "b"))
    journal.close()

    path = folder / "journal.jsonl"
    record = json.loads(path.read_text())
    assert list(record) == ["ts", "event", "round", "accuracy", "merged"]
    assert list(read_journal(folder)) == [record]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_torn_last_line_is_ignored_and_ended_by_the_next_writer(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append("round.done", round=1)
    journal.close()
    with (tmp_path / "journal.jsonl").open("ab") as file:
        file.write(b'{"ts":"2026","event":"round.done","rou')
    reader = JournalReader(tmp_path)

    assert rounds(read_journal(tmp_path)) == [1]
    assert rounds(reader.read_new()) == [1]

    journal.append("round.done", round=2)
    journal.close()
    assert rounds(read_journal(tmp_path)) == [1, 2]
    assert rounds(reader.read_new()) == [2]


def test_the_journal_is_bounded_and_keeps_one_older_file(tmp_path: Path) -> None:
    journal = Journal(tmp_path, max_bytes=1000)

    for number in range(100):
        journal.append("round.done", round=number)
    journal.close()

    assert sorted(os.listdir(tmp_path)) == ["journal.jsonl", "journal.jsonl.1"]
    assert all(path.stat().st_size <= 1000 for path in tmp_path.iterdir())
    kept = rounds(read_journal(tmp_path))
    assert kept == list(range(100 - len(kept), 100))
    assert len(kept) > 10


def test_a_reader_that_follows_misses_nothing_across_a_rotation(tmp_path: Path) -> None:
    journal = Journal(tmp_path, max_bytes=1000)
    reader = JournalReader(tmp_path)
    seen: list[object] = []
    assert list(reader.read_new()) == []  # before there is a file

    for number in range(100):
        journal.append("round.done", round=number)
        if number % 5 == 4:
            seen += rounds(reader.read_new())
    journal.close()

    assert seen == list(range(100))


def test_a_restarted_daemon_goes_on_in_the_same_file(tmp_path: Path) -> None:
    for number in range(3):
        journal = Journal(tmp_path)
        journal.append("daemon.started", round=number)
        journal.close()

    assert rounds(read_journal(tmp_path)) == [0, 1, 2]


def test_a_line_too_long_is_replaced_by_its_length(tmp_path: Path) -> None:
    journal = Journal(tmp_path)

    journal.append("peers.changed", members=["x" * 100] * 1000)
    journal.close()

    (record,) = read_journal(tmp_path)
    assert record["event"] == "peers.changed"
    assert int(str(record["cut_bytes"])) > MAX_LINE_BYTES


def test_a_disk_that_refuses_is_a_state_error_and_may_recover(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path)
    journal.append("round.done", round=1)
    real_write = os.write

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda descriptor, data: real_write(descriptor, data[:9]))
        with pytest.raises(StateError, match="disk full"):
            journal.append("round.done", round=2)
    journal.append("round.done", round=3)
    journal.close()

    assert rounds(read_journal(tmp_path)) == [1, 3]


def test_an_event_of_garbage_between_good_lines_is_skipped(tmp_path: Path) -> None:
    lines = [b'{"round": 1}', b"\xff\xfe", b"[1]", b"[" * 5000, b"", b'{"round": 2}']
    (tmp_path / "journal.jsonl").write_bytes(b"\n".join(lines) + b"\n")

    assert rounds(read_journal(tmp_path)) == [1, 2]
    assert rounds(JournalReader(tmp_path).read_new()) == [1, 2]
