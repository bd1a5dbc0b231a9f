import resource
from pathlib import Path

from node_daemon.doctor import learning, machine
from node_daemon.journal import Journal
from tests.node_daemon.conftest import write_private
from tests.node_daemon.doctor.cases import case_of, in_words


def test_the_clock_is_for_display(tmp_path: Path) -> None:
    found = in_words(machine.clock(case_of(tmp_path), now=lambda: "1970-01-01T00:00:00Z"))

    assert found.startswith("ok 1970-01-01T00:00:00Z; for display only")


def test_open_files_are_enough_for_all_peers_or_not(tmp_path: Path) -> None:
    case = case_of(tmp_path, "[network]\nmin_peers = 100\n")

    for limit, grade in ((127, "fail"), (128, "warn"), (528, "ok"), (resource.RLIM_INFINITY, "ok")):
        found = in_words(machine.open_files(case, limit=lambda limit=limit: limit))  # type: ignore[misc]
        assert found.startswith(grade), found


def test_a_second_process_under_one_id_is_remembered_until_the_next_start(tmp_path: Path) -> None:
    case, journal = case_of(tmp_path), Journal(tmp_path / "state")
    assert in_words(machine.duplicate_id(case)).startswith("ok")

    journal.append("peer.refused", peer="ABC", code="duplicate_id")
    assert in_words(machine.duplicate_id(case)).startswith(
        "fail two processes ran under one id, with ABC at 2"
    )
    journal.append("node.listening")
    assert in_words(machine.duplicate_id(case)).startswith("ok")
    journal.append("peer.down", peer="ABC", reason="duplicate_id")
    assert in_words(machine.duplicate_id(case)).startswith("fail")


TASK = "[task]\nname = 'digits_softmax'\n"


def test_the_data_can_be_read_and_learned_from(tmp_path: Path) -> None:
    case = case_of(tmp_path, TASK)

    assert in_words(learning.dataset(case)).startswith("ok all of it: 1,442 train, 355 test")
    assert in_words(learning.training(case)).startswith(
        "ok digits_softmax, 650 parameters, learned from 32 rows"
    )


def test_code_that_breaks_and_models_that_are_no_numbers_are_found(tmp_path: Path) -> None:
    write_private(
        tmp_path / "data.csv", "\n".join(",".join(["3e38"] * 64 + [str(label)]) for label in range(10)) + "\n"
    )
    case = case_of(tmp_path, TASK + "[data]\npath = 'data.csv'\n")

    assert in_words(learning.training(case)).startswith("fail")
