"""``python -m simulations.benchmarks NAME [--json]``: run one benchmark and print its table."""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TypeAlias

from rich.console import Console
from rich.table import Table

from p2pfl.errors import ConfigError, P2PError
from simulations.benchmarks import simulator, wire

BENCHMARKS = ("wire", "simulator", "aggregation")
WIRE_REPEATS, SIMULATOR_REPEATS = 15, 3
BUILT = ("simulator", "wire")

# Key of the JSON object -> its rows as plain values, and as a table for people.
Tables: TypeAlias = Mapping[str, tuple[list[dict[str, str | int | float | bool]], Table]]


def run(name: str, *, repeats: int | None, as_json: bool) -> None:
    """Run the benchmark of that name and print what it measured."""
    if name not in BUILT:
        raise ConfigError(f"the benchmark {name!r} is not built yet; there is: {', '.join(BUILT)}")
    tables = (
        _simulator(repeats or SIMULATOR_REPEATS) if name == "simulator" else _wire(repeats or WIRE_REPEATS)
    )
    if as_json:
        print(json.dumps({"benchmark": name, **{key: rows for key, (rows, _) in tables.items()}}))
    else:
        for _, table in tables.values():
            Console().print(table)


def _wire(repeats: int) -> Tables:
    rows = wire.measure(repeats=repeats)
    return {"rows": ([row.as_json() for row in rows], wire_table(rows))}


def _simulator(repeats: int) -> Tables:
    rows, messages = simulator.measure(repeats=repeats), simulator.measure_messages(repeats=repeats)
    return {
        "rows": ([row.as_json() for row in rows], simulator_table(rows)),
        "messages": ([asdict(row) for row in messages], messages_table(messages)),
    }


def wire_table(rows: Sequence[wire.Row]) -> Table:
    """The rows for people."""
    table = Table(title="a model from one process to another over loopback, vector in, vector out")
    for heading in ("model, MB", "transport", "MB/s", "raw sockets, MB/s", "ratio to raw"):
        table.add_column(heading, justify="right")
    for row in rows:
        figures = (f"{row.mb_per_s:,.0f}", f"{row.raw_mb_per_s:,.0f}", f"{row.ratio_to_raw:.2f}")
        table.add_row(str(row.size_mb), row.transport, *figures)
    return table


def simulator_table(rows: Sequence[simulator.Row]) -> Table:
    """The rows for people."""
    table = Table(title="a node-round: 2 steps of batch 32 and the mean with 4 neighbours")
    for heading in ("model", "nodes", "engine", "node-rounds/s", "peak memory, MB", "ratio to loop"):
        table.add_column(heading, justify="right")
    for row in rows:
        speed = f"{row.node_rounds_per_s:,.0f}" + (" (of 1,000 nodes)" if row.is_extrapolated else "")
        figures = (speed, f"{row.peak_memory_bytes / 1e6:,.0f}", f"{row.ratio_to_loop:.1f}")
        table.add_row(row.model, f"{row.nodes:,}", row.engine, *figures)
    return table


def messages_table(rows: Sequence[simulator.Overhead]) -> Table:
    """The rows for people."""
    table = Table(title="the event engine without training")
    for heading in ("nodes", "messages", "µs per message"):
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(f"{row.nodes:,}", f"{row.messages:,}", f"{row.us_per_message:.1f}")
    return table


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line, run, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m simulations.benchmarks", description=__doc__)
    parser.add_argument("name", choices=BENCHMARKS)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--repeats", type=int, help="of each measurement, in turns (wire 15, simulator 3)")
    chosen = parser.parse_args(arguments)
    try:
        run(chosen.name, repeats=chosen.repeats, as_json=chosen.json)
    except P2PError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
