from dataclasses import fields

from p2pfl.wire.limits import Limits
from tests.limits_table import PAGE, page


def test_the_page_of_limits_says_what_the_source_says() -> None:
    assert PAGE.read_text("utf-8") == page(), "run python -m tests.limits_table"


def test_every_limit_that_an_operator_may_change_stands_there_with_a_meaning() -> None:
    rows = {
        line.split("`")[1]: line.split("|")[3].strip() for line in page().splitlines() if line[:3] == "| `"
    }

    assert {limit.name for limit in fields(Limits)} <= set(rows)
    assert [name for name in rows if "." not in name and not rows[name]] == []
    assert "p2pfl.membership.MAX_MEMBERS" in rows
