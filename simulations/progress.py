"""How far a run is: a bar on a terminal or in a notebook, nothing in a log; and runs in a thread."""

import asyncio
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from html import escape
from threading import Event
from typing import Literal, Protocol, TypeVar, cast
from uuid import uuid4

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from p2pfl.errors import P2PError
from simulations.setting import Progress

LABEL = "rounds of all nodes"

Found = TypeVar("Found")


class StoppedError(P2PError):
    """The run was told to end before its time."""

    exit_code = 130


class Publisher(Protocol):
    """What a notebook shows things through."""

    def publish(self, data: Mapping[str, str], *, transient: Mapping[str, str], update: bool) -> object:
        """Show ``data``, in place of what was shown under the same id."""
        ...


@contextmanager
def shown(progress: Progress | Literal[False] | None) -> Iterator[Progress | None]:
    """Where to report to: what the caller gave; or a bar, if there is anybody to see it."""
    if progress is not None:
        yield progress or None
        return
    publisher = notebook(sys.modules)
    if publisher is not None:
        yield notebook_bar(publisher)
    elif sys.stderr.isatty():
        with terminal_bar(Console(stderr=True)) as bar:
            yield bar
    else:
        yield None


@contextmanager
def terminal_bar(console: Console) -> Iterator[Progress]:
    """A bar that is gone when the run is over."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bars(*columns, console=console, transient=True) as bars:
        task = bars.add_task(LABEL, total=None)

        def report(done: int, total: int) -> None:
            bars.update(task, completed=done, total=total)

        yield report


def notebook(modules: Mapping[str, object]) -> Publisher | None:
    """The way to show something in the notebook that we run in; None elsewhere, an IPython terminal included.

    IPython itself is never imported: in a notebook it is there already.
    """
    get_ipython = getattr(modules.get("IPython"), "get_ipython", None)
    shell = get_ipython() if callable(get_ipython) else None
    if not hasattr(shell, "kernel"):
        return None
    return cast("Publisher | None", getattr(shell, "display_pub", None))


def notebook_bar(publisher: Publisher) -> Progress:
    """A bar of HTML, with a line of text for front ends that have none."""
    identity = {"display_id": uuid4().hex}
    is_shown = False

    def report(done: int, total: int) -> None:
        nonlocal is_shown
        text = f"{done} of {total} {LABEL}"
        html = f'<progress value="{done}" max="{total}"></progress> {escape(text)}'
        publisher.publish({"text/plain": text, "text/html": html}, transient=identity, update=is_shown)
        is_shown = True

    return report


async def in_thread(run: Callable[..., Found], progress: Progress | Literal[False] | None) -> Found:
    """``run(progress=...)`` in a thread.

    When the caller is cancelled the run is stopped at its next report, and has ended when this returns.
    """
    stop = Event()

    def begin() -> Found:
        with shown(progress) as show:

            def report(done: int, total: int) -> None:
                if stop.is_set():
                    raise StoppedError("the run was cancelled")
                if show is not None:
                    show(done, total)

            return run(progress=report)

    running = asyncio.ensure_future(asyncio.to_thread(begin))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        stop.set()
        with suppress(P2PError):
            await running
        raise
