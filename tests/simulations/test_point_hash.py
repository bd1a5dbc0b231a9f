"""The hash of a point: whatever its result depends on changes it, and nothing is imported for it."""

from pathlib import Path

import pytest

from p2pfl.errors import ConfigError
from simulations import source_hash
from simulations.plain_data import Plain
from simulations.point_hash import named_files, point_hash
from simulations.source_hash import module_hash


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_what_a_module_imports_from_beside_it_counts_and_what_it_does_not_import_does_not(lab: Path) -> None:
    write(lab / "alone_task.py", "from alone_net import net\n")
    write(lab / "alone_net.py", "def net():\n    import alone_layers.wide\n")
    write(lab / "alone_layers" / "wide.py", "")
    write(lab / "alone_drawing.py", "")
    found = [module_hash("alone_task")]

    for name in ("alone_drawing.py", "alone_net.py", "alone_layers/wide.py"):
        write(lab / name, "import alone_layers  # changed\n")
        found.append(module_hash("alone_task"))

    assert found[0] == found[1]
    assert len({*found}) == 3


def test_all_sources_of_a_package_count_and_none_is_run(lab: Path) -> None:
    write(lab / "broken_lab" / "__init__.py", "1/0\n")
    write(lab / "broken_lab" / "inner" / "nets.py", "def (\n")
    before = module_hash("broken_lab.tasks")

    write(lab / "broken_lab" / "inner" / "nets.py", "def )\n")

    assert "" != before != module_hash("broken_lab.tasks")


@pytest.mark.parametrize("name", ["no_such_lab", "no_such_lab.tasks", "json.tasks", "sys"])
def test_a_module_that_is_not_there_is_left_to_the_check_of_the_point(name: str) -> None:
    assert (module_hash(name) == "") == (name != "json.tasks")


def test_code_of_the_running_script_is_refused() -> None:
    with pytest.raises(ConfigError, match="not found by the processes") as caught:
        point_hash({"task": {"name": "__main__:task"}})
    assert caught.value.where == "task.name"
    assert "put it in a module" in caught.value.fix


def test_any_value_that_is_the_name_of_a_file_counts_with_its_content(lab: Path) -> None:
    write(lab / "words.txt", "one")
    table: dict[str, Plain] = {"task": {"name": "my:task", "corpus": [str(lab / "words.txt"), "x" * 999]}}
    before = named_files(table)

    write(lab / "words.txt", "two")

    assert {*before} == {"my:task", str(lab / "words.txt")}
    assert named_files(table) != before


def test_the_program_and_the_versions_of_its_libraries_count(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [point_hash({})]
    monkeypatch.setattr(source_hash, "versions", lambda: {"torch": "0.1", "numpy": None, "networkx": "1"})
    found.append(point_hash({}))
    monkeypatch.setattr(source_hash, "OWN", ("p2pfl",))
    found.append(point_hash({}))
    assert len({*found}) == 3
