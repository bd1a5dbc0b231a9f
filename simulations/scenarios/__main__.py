"""``python -m simulations.scenarios [NAME...] [--data DIR] [--write PAGE]``: the tables of all, or of some.

Each scenario is one claim or published figure.  With ``--write docs/experiments.md`` the tables go into the
page, between the marks that name them.  A scenario whose data are missing says so and keeps its old table.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from types import MappingProxyType

from p2pfl.errors import P2PError, unknown_name
from simulations.scenarios import (
    consensus_contraction,
    fedavg_equivalence,
    four_hospitals,
    online_push_sum,
    protocols_compared,
    topologies_compared,
)
from simulations.scenarios.command import Scenario, parser, report
from simulations.scenarios.tables import Table, put_into

SCENARIOS: Mapping[str, Scenario] = MappingProxyType(
    {
        "consensus_contraction": consensus_contraction.table,
        "fedavg_equivalence": fedavg_equivalence.table,
        "four_hospitals": four_hospitals.table,
        "online_push_sum": online_push_sum.table,
        "protocols_compared": protocols_compared.table,
        "topologies_compared": topologies_compared.table,
    }
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line names; the exit code is that of the last scenario that could not run."""
    options = parser(__doc__)
    options.add_argument("names", nargs="*", metavar="NAME", help=", ".join(SCENARIOS))
    options.add_argument("--write", type=Path, metavar="PAGE", help="put the tables into this page")
    chosen = options.parse_args(arguments)
    code, tables = 0, dict[str, Table]()
    for name in chosen.names or SCENARIOS:
        start = perf_counter()
        try:
            tables[name] = _scenario(name)(chosen.data)
        except P2PError as error:
            code = report(error)
            continue
        print(f"{name}: {perf_counter() - start:.0f} s\n", file=sys.stderr)
        print(f"{tables[name].markdown()}\n", flush=True)
    return _write(chosen.write, tables) or code if chosen.write else code


def _scenario(name: str) -> Scenario:
    if name not in SCENARIOS:
        raise unknown_name("scenario", name, SCENARIOS)
    return SCENARIOS[name]


def _write(page: Path, tables: Mapping[str, Table]) -> int:
    try:
        page.write_text(put_into(page.read_text("utf-8"), tables), "utf-8")
    except P2PError as error:
        return report(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
