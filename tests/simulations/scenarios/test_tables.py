"""The page of experiments, and the command that writes its tables."""

import re
from pathlib import Path

import pytest

from p2pfl.errors import ConfigError
from simulations.scenarios.__main__ import SCENARIOS, main
from simulations.scenarios.data_sets import DATA_SETS, folder_of
from simulations.scenarios.tables import END, Table, bound, mean_and_spread, put_into
from tests.p2pfl.data.small_files import ROOT

PAGE = ROOT / "docs" / "experiments.md"
FOLDER = ROOT / "simulations" / "scenarios"
MARK = re.compile(r"<!-- table: (\w+) -->\n(.*?)" + re.escape(END), re.S)
TABLE = Table(("graph", "accuracy"), (("ring", "0.9"), ("full mesh", "0.95")))


def tables_of(page: str) -> dict[str, list[list[str]]]:
    """Cells of every marked table, without the line below the headings."""
    found = {}
    for name, text in MARK.findall(page):
        lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.strip().splitlines()]
        found[name] = [*lines[:1], *lines[2:]]
    return found


def test_every_scenario_of_the_package_is_on_the_page_with_a_whole_table() -> None:
    on_page = tables_of(PAGE.read_text("utf-8"))
    runnable = {path.stem for path in FOLDER.glob("*.py") if "\ndef table(" in path.read_text("utf-8")}

    assert set(on_page) == set(SCENARIOS) == runnable
    for name, rows in on_page.items():
        assert len(rows) > 2, name
        assert {len(row) for row in rows} == {len(rows[0])}, name
        assert all(re.search(r"\d", row[1]) for row in rows[1:]), name


def test_a_scenario_is_short_and_can_be_run_alone() -> None:
    for path in FOLDER.glob("*.py"):
        text = path.read_text("utf-8")
        assert len(text.splitlines()) <= 80, path
        assert "\ndef table(" not in text or f"python -m simulations.scenarios.{path.stem}" in text


def test_a_table_is_put_between_its_marks_and_the_words_stay() -> None:
    page = f"before\n<!-- table: one -->\nold\n{END}\nbetween\n<!-- table: two -->\n{END}\nafter\n"
    once = put_into(page, {"one": TABLE, "two": TABLE})

    assert put_into(once, {"one": TABLE, "two": TABLE}) == once
    assert "old" not in once
    assert [once.index(word) for word in ("before", "between", "after")] == sorted(
        once.index(word) for word in ("before", "between", "after")
    )
    assert tables_of(once)["two"] == [["graph", "accuracy"], ["ring", "0.9"], ["full mesh", "0.95"]]


def test_a_page_without_the_mark_is_refused_and_the_mark_is_named() -> None:
    with pytest.raises(ConfigError, match="no place for the table 'one'") as caught:
        put_into("no marks\n", {"one": TABLE})
    assert "<!-- table: one -->" in caught.value.fix


@pytest.mark.parametrize("name", DATA_SETS)
def test_missing_data_are_named_with_where_they_come_from(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    first, *others = DATA_SETS[name].files
    (tmp_path / name / first).touch()
    for present in ([first], DATA_SETS[name].files):
        for file in present:
            (tmp_path / name / file).touch()
        if len(present) > len(others):
            assert folder_of(tmp_path, name) == tmp_path / name
        else:
            with pytest.raises(ConfigError, match=others[-1]) as caught:
                folder_of(tmp_path, name)
            assert "https://" in caught.value.fix


def test_the_command_goes_on_without_data_and_ends_with_3(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"<!-- table: four_hospitals -->\nkept\n{END}\n")
    code = main(["four_hospitals", "online_push_sum", "--data", str(tmp_path), "--write", str(page)])
    written = capsys.readouterr()

    assert code == 3
    assert "processed.va.data" in written.err
    assert "datatraining.txt" in written.err
    assert "kept" in page.read_text()
    assert main(["four_hospital"]) == 3
    assert "did you mean four_hospitals?" in capsys.readouterr().err


def test_figures_are_rounded_to_what_they_can_say() -> None:
    assert mean_and_spread([0.5]) == "0.500"
    assert mean_and_spread([0.5, 0.7]) == "0.600 ± 0.141"
    assert [bound(error) for error in (0.0, 3e-8, 0.25)] == ["< 1e-12", "< 1e-06", "2.5e-01"]
