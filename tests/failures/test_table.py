"""Every line of the table of failures names tests that exist, and every test here stands in the table."""

import ast
import re
from pathlib import Path

HERE = Path(__file__).parent
TABLE = HERE.parents[1] / "docs" / "reliability.md"
COLUMNS = 4
ROWS = 14


def rows() -> list[list[str]]:
    lines = [line for line in TABLE.read_text("utf-8").splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]


def defined_here() -> set[str]:
    found = set()
    for path in HERE.glob("test_*.py"):
        if path.name != Path(__file__).name:
            tree = ast.parse(path.read_text("utf-8"))
            kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
            found |= {
                node.name for node in tree.body if isinstance(node, kinds) and node.name.startswith("test_")
            }
    return found


def test_every_failure_has_a_behaviour_a_bound_and_tests_that_exist() -> None:
    for row in rows():
        assert len(row) == COLUMNS, row
        assert all(row), row
        named = re.findall(r"`(test_\w+)`", row[-1])
        assert named, row
        assert set(named) <= defined_here(), row


def test_every_test_stands_in_the_table() -> None:
    named = re.findall(r"`(test_\w+)`", " ".join(row[-1] for row in rows()))

    assert sorted(named) == sorted(defined_here())
    assert len(rows()) == ROWS
