from collections.abc import Mapping
from pathlib import Path

from node_daemon.journal import Journal, read_journal
from node_daemon.monitor import TREND_ROUNDS, Monitor


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_an_event_goes_to_the_journal_with_all_its_facts_and_then_to_the_watcher(tmp_path: Path) -> None:
    seen: list[tuple[str, Mapping[str, object]]] = []
    monitor = Monitor(Journal(tmp_path), lambda event, facts: seen.append((event, facts)))

    monitor.report("round.done", {"round": 3, "merged": ["a", "b"], "missing": [], "accuracy": 0.5})

    (record,) = read_journal(tmp_path)
    assert record["event"] == "round.done"
    assert record["merged"] == ["a", "b"]
    assert seen == [("round.done", {"round": 3, "merged": ["a", "b"], "missing": [], "accuracy": 0.5})]


def test_rates_are_those_of_the_last_minute(tmp_path: Path) -> None:
    clock = Clock()
    monitor = Monitor(Journal(tmp_path), lambda *_: None, now_s=clock)
    for second in range(0, 201, 10):
        clock.now_s = float(second)
        monitor.sample(1000 * second if second > 100 else 0, 10 * second)

    figures = monitor.figures()

    assert figures["uptime_s"] == 200.0
    assert figures["sent_bytes_per_s"] == 1000.0
    assert figures["received_bytes_per_s"] == 10.0


def test_the_trend_spans_the_last_rounds(tmp_path: Path) -> None:
    monitor = Monitor(Journal(tmp_path), lambda *_: None)
    for number in range(1, 31):
        monitor.report("round.done", {"round": number, "accuracy": number / 100})

    figures = monitor.figures()

    assert figures["change_rounds"] == TREND_ROUNDS
    change = figures["accuracy_change"]
    assert isinstance(change, float)
    assert abs(change - TREND_ROUNDS / 100) < 1e-9


def test_a_journal_that_cannot_be_written_does_not_stop_the_node(tmp_path: Path) -> None:
    seen: list[str] = []
    (tmp_path / "journal.jsonl").mkdir()
    monitor = Monitor(Journal(tmp_path), lambda event, _: seen.append(event))

    monitor.report("peer.up", {"peer": "x"})

    assert seen == ["peer.up"]
