"""What a scenario leaves behind: a table, printed or put into a page."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from p2pfl.errors import ConfigError

BOUNDS = (1e-12, 1e-9, 1e-6, 1e-5, 1e-3)
END = "<!-- end of table -->"


@dataclass(frozen=True, slots=True)
class Table:
    """Headings and rows of text; the first column names the row."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        assert all(len(row) == len(self.headings) for row in self.rows)

    def markdown(self) -> str:
        """The table as a page shows it: names on the left, figures on the right."""
        sides = ["---", *["--:"] * (len(self.headings) - 1)]
        return "\n".join(f"| {' | '.join(row)} |" for row in (self.headings, sides, *self.rows))


def mean_and_spread(values: Sequence[float]) -> str:
    """Mean and standard deviation, over the seeds."""
    return f"{fmean(values):.3f} ± {stdev(values):.3f}" if len(values) > 1 else f"{fmean(values):.3f}"


def bound(error: float) -> str:
    """A difference that should be rounding alone, without the digits that vary from machine to machine."""
    return next((f"< {limit:.0e}" for limit in BOUNDS if error < limit), f"{error:.1e}")


def put_into(page: str, tables: Mapping[str, Table]) -> str:
    """The page with these tables between ``<!-- table: NAME -->`` and the end mark below it."""
    for name, table in tables.items():
        place = re.compile(rf"(<!-- table: {re.escape(name)} -->\n).*?({re.escape(END)})", re.S)
        found = place.search(page)
        if found is None:
            raise ConfigError(
                f"the page has no place for the table {name!r}",
                where="--write",
                fix=f"a line <!-- table: {name} --> and, below it, {END}",
            )
        page = f"{page[: found.end(1)]}\n{table.markdown()}\n\n{page[found.start(2) :]}"
    return page
