"""How scenarios are run from a command line."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from p2pfl.errors import P2PError
from simulations.scenarios.tables import Table

DEFAULT_DATA = Path("data")

# The folder above those of all sets of data -> the table; raises ConfigError where files are missing.
Scenario: TypeAlias = Callable[[Path], Table]


def parser(purpose: str | None) -> argparse.ArgumentParser:
    """The options that all scenarios have."""
    made = argparse.ArgumentParser(description=purpose, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument(
        "--data",
        type=Path,
        default=DEFAULT_DATA,
        metavar="DIR",
        help="folder with fashion-mnist/, heart-disease/ and occupancy/ (default: %(default)s)",
    )
    return made


def show(scenario: Scenario, purpose: str | None) -> int:
    """Run one scenario as its command line says, print its table, and return the exit code."""
    data: Path = parser(purpose).parse_args().data
    try:
        print(scenario(data).markdown())
    except P2PError as error:
        return report(error)
    return 0


def report(error: P2PError) -> int:
    """Tell the error in words, and return its exit code."""
    fix = f"\n  fix: {error.fix}" if error.fix else ""
    print(f"error: {error}{fix}", file=sys.stderr)
    return error.exit_code
