import pytest

from node_daemon.output import duration, error_text, rate, table, terminal_width
from p2pfl.errors import ConfigError


def test_an_error_has_its_place_its_facts_and_its_remedy() -> None:
    error = ConfigError("cannot listen", where="a:1", facts=["pid 4 holds it"], fix="stop it")

    assert error_text(error) == "error: cannot listen (a:1)\n  pid 4 holds it\n  fix: stop it\n"
    assert error_text(ConfigError("no")) == "error: no\n"


def test_columns_are_aligned_and_nothing_is_a_dash() -> None:
    assert table(("NAME", "X"), [("a", None), ("long name", True), ("b", 0.25)]).splitlines() == [
        "NAME       X",
        "a          -",
        "long name  yes",
        "b          0.250",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(8.9, "8 s"), (725, "12 min"), (8075, "2 h 14 min"), (100_000 + 259_200, "4 d 3 h")],
)
def test_durations_read_as_people_say_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("bytes_per_s", "text"),
    [(0.0, "0 B/s"), (999.0, "999 B/s"), (3_400_000.0, "3.4 MB/s"), (5e12, "5000.0 GB/s")],
)
def test_rates_have_si_units(bytes_per_s: float, text: str) -> None:
    assert rate(bytes_per_s) == text


LONG = ("a", "words that go on and on until the line ends")


def test_a_last_column_that_does_not_fit_is_broken() -> None:
    assert table(("N", "WHAT"), [LONG], width=30).splitlines() == [
        "N  WHAT",
        "a  words that go on and on",
        "   until the line ends",
    ]


def test_a_table_that_does_not_fit_at_all_becomes_a_list_per_row() -> None:
    assert table(("N", "WHAT", "X"), [(*LONG, 1), ("b", "y", None)], width=20).split("\n\n") == [
        f"N     a\nWHAT  {LONG[1]}\nX     1",
        "N     b\nWHAT  y\nX     -",
    ]


def test_only_a_terminal_or_columns_limits_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    assert terminal_width() is None

    monkeypatch.setenv("COLUMNS", "60")
    assert terminal_width() == 60
