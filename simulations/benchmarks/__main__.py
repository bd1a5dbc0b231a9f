"""``python -m simulations.benchmarks NAME [--json]``: run one benchmark and print its table."""

import argparse
import json
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from p2pfl.errors import ConfigError, P2PError
from simulations.benchmarks.wire import Row, measure

BENCHMARKS = ("wire", "simulator", "aggregation")
BUILT = ("wire",)


def run(name: str, *, repeats: int, as_json: bool) -> None:
    """Run the benchmark of that name and print what it measured."""
    if name not in BUILT:
        raise ConfigError(f"the benchmark {name!r} is not built yet; there is: {', '.join(BUILT)}")
    rows = measure(repeats=repeats)
    if as_json:
        print(json.dumps({"benchmark": name, "rows": [row.as_json() for row in rows]}))
    else:
        Console().print(wire_table(rows))


def wire_table(rows: Sequence[Row]) -> Table:
    """The rows for people."""
    table = Table(title="a model from one process to another over loopback, vector in, vector out")
    for heading in ("model, MB", "transport", "MB/s", "raw sockets, MB/s", "ratio to raw"):
        table.add_column(heading, justify="right")
    for row in rows:
        figures = (f"{row.mb_per_s:,.0f}", f"{row.raw_mb_per_s:,.0f}", f"{row.ratio_to_raw:.2f}")
        table.add_row(str(row.size_mb), row.transport, *figures)
    return table


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line, run, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m simulations.benchmarks", description=__doc__)
    parser.add_argument("name", choices=BENCHMARKS)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--repeats", type=int, default=15, help="interleaved repeats of each measurement")
    chosen = parser.parse_args(arguments)
    try:
        run(chosen.name, repeats=chosen.repeats, as_json=chosen.json)
    except P2PError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
