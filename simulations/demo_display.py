"""What the demo shows: a live line per daemon on a terminal, and a table at the end."""

import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from simulations.daemons import Daemon
from simulations.demo_result import BELOW_POOLED, Result
from simulations.homes import node_name

BAR_WIDTH = 30
REFRESH_PER_S = 8


class Display:
    """The live part; nothing at all where the output is no terminal, or ``is_silent``."""

    def __init__(self, nodes: int, rounds: int, *, is_silent: bool) -> None:
        self._nodes = nodes
        self._rounds = rounds
        self._console = Console()
        self._message = ""
        is_live = self._console.is_terminal and not is_silent
        self._live = (
            Live(console=self._console, refresh_per_second=REFRESH_PER_S, transient=True) if is_live else None
        )

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.__exit__(kind, error, trace)

    def say(self, message: str) -> None:
        """What is being done now."""
        self._message = message
        self.show(())

    def show(self, daemons: Sequence[Daemon]) -> None:
        """Round and accuracy of each daemon."""
        if self._live is not None:
            is_running = any(daemon.round for daemon in daemons)
            self._live.update(self._rows(daemons) if is_running else Text(self._message))

    def _rows(self, daemons: Sequence[Daemon]) -> Table:
        table = Table("node", "progress", "round", "accuracy", box=None)
        for daemon in daemons:
            accuracy = "" if daemon.accuracy is None else f"{daemon.accuracy:.3f}"
            bar = ProgressBar(total=self._rounds, completed=daemon.round, width=BAR_WIDTH)
            table.add_row(daemon.name, bar, f"{daemon.round}/{self._rounds}", accuracy)
        return table


def closing_table(result: Result) -> None:
    """Print the accuracy of every node, alone and together, and how it came about."""
    console = Console(highlight=False, soft_wrap=True)
    table = Table()
    for heading in ("node", "own samples", "alone", "together", "pooled"):
        table.add_column(heading, justify="left" if heading == "node" else "right")
    base = result.baselines
    pooled = f"{base.pooled:.3f}"
    for i, together in enumerate(result.together):
        table.add_row(node_name(i), str(base.samples[i]), f"{base.alone[i]:.3f}", f"{together:.3f}", pooled)
    table.add_section()
    means = (f"{result.accuracy_alone:.3f}", f"{result.accuracy_together:.3f}")
    table.add_row("mean", f"{sum(base.samples) / result.nodes:.0f}", *means, pooled, style="bold")
    console.print(table)
    console.print(
        f"{result.nodes} daemons found each other through zeroconf; {result.protocol}, {result.topology}, "
        f"{result.rounds} rounds; {result.seconds:.1f} s in all"
    )
    console.print(
        f"accuracy on the same {base.test_samples} test samples, which nobody trained on\n"
        "alone: as many local updates, on the node's own samples; pooled: as many passes over all samples"
    )
    if not result.is_target_reached:
        sys.stderr.write(f"together is not within {BELOW_POOLED} of pooled; more --rounds may help\n")
