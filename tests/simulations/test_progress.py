"""Progress is seen where somebody looks, and a run in a thread can be cancelled."""

import asyncio
import sys
from collections.abc import Mapping
from dataclasses import replace
from io import StringIO
from threading import Event
from types import SimpleNamespace

import psutil
import pytest
from rich.console import Console

from simulations import Experiment, course
from simulations.progress import notebook, notebook_bar, shown, terminal_bar

SMALL = Experiment(topology="ring", nodes=4, task="digits_softmax", partition="iid", rounds=6)


@pytest.mark.parametrize("engine", ["event", "vectorised"])
@pytest.mark.parametrize("protocol", ["gossip_averaging", "random_walk"])
def test_a_callback_hears_how_many_rounds_all_nodes_have_done(protocol: str, engine: str) -> None:
    heard: list[tuple[int, int]] = []

    Experiment(
        topology="ring", nodes=4, task="digits_softmax", rounds=6, protocol=protocol, engine=engine
    ).run(progress=lambda done, total: heard.append((done, total)))

    done = [done for done, _ in heard]
    assert {total for _, total in heard} == {24}
    assert done == sorted(done)
    assert done[0] == 1
    assert done[-1] == 24


def test_a_long_run_does_not_report_every_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(course, "REPORTS", 3)
    heard: list[int] = []

    SMALL.run(progress=lambda done, total: heard.append(done))

    assert heard == [1, 9, 17, 24]


class Publisher:
    def __init__(self) -> None:
        self.published: list[tuple[Mapping[str, str], Mapping[str, str], bool]] = []

    def publish(self, data: Mapping[str, str], *, transient: Mapping[str, str], update: bool) -> None:
        self.published.append((data, transient, update))


def test_in_a_notebook_one_bar_is_updated_in_place() -> None:
    publisher = Publisher()
    module = SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=1, display_pub=publisher))
    assert notebook({"IPython": module}) is publisher

    report = notebook_bar(publisher)
    report(1, 8)
    report(2, 8)

    (first, identity, is_first_update), (second, same, is_second_update) = publisher.published
    assert (is_first_update, is_second_update) == (False, True)
    assert identity == same
    assert first["text/plain"] == "1 of 8 rounds of all nodes"
    assert '<progress value="2" max="8">' in second["text/html"]


def test_a_plain_interpreter_and_a_terminal_of_ipython_are_no_notebooks() -> None:
    assert notebook({}) is None
    assert notebook({"IPython": SimpleNamespace(get_ipython=lambda: None)}) is None
    assert notebook({"IPython": SimpleNamespace(get_ipython=lambda: SimpleNamespace(display_pub=1))}) is None


def test_on_a_terminal_there_is_a_bar_that_is_gone_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    written = StringIO()
    with terminal_bar(Console(file=written, force_terminal=True, width=80)) as report:
        report(3, 24)
    assert "rounds of all nodes" in written.getvalue()
    assert "3/24" in written.getvalue()

    terminal = StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stderr", terminal)
    with shown(None) as report_by_default:
        assert report_by_default is not None


def test_a_log_stays_silent(capfd: pytest.CaptureFixture[str]) -> None:
    SMALL.run()

    assert capfd.readouterr() == ("", "")
    assert "IPython" not in sys.modules


@pytest.mark.parametrize(("progress", "is_silent"), [(False, True), (print, False)])
def test_what_the_caller_says_goes_before_the_terminal(progress: object, is_silent: bool) -> None:
    with shown(progress) as report:  # type: ignore[arg-type]
        assert (report is None) == is_silent


async def test_a_run_in_a_loop_gives_what_a_plain_one_does() -> None:
    heard: list[int] = []

    result = await SMALL.run_async(progress=lambda done, total: heard.append(done))

    assert result.models.tobytes() == SMALL.run().models.tobytes()
    assert heard[-1] == 24


async def test_a_cancelled_run_has_ended_when_the_caller_hears_of_it() -> None:
    loop, begun, may_go_on = asyncio.get_running_loop(), asyncio.Event(), Event()
    reports: list[int] = []

    def report(done: int, total: int) -> None:
        reports.append(done)
        loop.call_soon_threadsafe(begun.set)
        assert may_go_on.wait(30)

    running = asyncio.create_task(SMALL.run_async(progress=report))
    await begun.wait()
    running.cancel()
    await asyncio.sleep(0)  # the cancellation reaches the run
    may_go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert len(reports) == 1


@pytest.mark.slow
async def test_a_cancelled_run_of_real_daemons_leaves_none() -> None:
    loop, begun = asyncio.get_running_loop(), asyncio.Event()
    before = set(psutil.Process().children(recursive=True))

    def report(done: int, total: int) -> None:
        if done:
            loop.call_soon_threadsafe(begun.set)

    daemons = replace(SMALL, nodes=2, rounds=100_000, engine="processes")
    running = asyncio.create_task(daemons.run_async(progress=report))
    await asyncio.wait([running, asyncio.ensure_future(begun.wait())], return_when=asyncio.FIRST_COMPLETED)
    assert len(set(psutil.Process().children(recursive=True)) - before) >= 3  # the server and two daemons
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert set(psutil.Process().children(recursive=True)) <= before
