import asyncio
import time
from collections.abc import Mapping

import pytest

from node_daemon import loop_lag
from node_daemon.loop_lag import LagCount, LoopLag


def test_a_lag_is_reported_at_once_and_the_next_ones_together() -> None:
    lags = LagCount()

    assert lags.note(0.2, 0.0) is None
    assert lags.note(0.3, 1.0) == {"worst_s": 0.3, "count": 1}
    assert lags.note(0.5, 2.0) is None
    assert lags.note(0.4, 30.0) is None
    assert lags.note(0.0, 61.0) == {"worst_s": 0.5, "count": 2}
    assert lags.note(0.0, 200.0) is None


async def test_a_callback_that_holds_up_the_loop_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_lag, "LOOK_S", 0.01)
    monkeypatch.setattr(loop_lag, "LAG_S", 0.02)
    is_seen, reports = asyncio.Event(), list[tuple[str, Mapping[str, object]]]()

    def report(event: str, facts: Mapping[str, object]) -> None:
        reports.append((event, facts))
        is_seen.set()

    watch = LoopLag(report)
    watch.start()
    asyncio.get_running_loop().call_soon(busy, 0.1)
    await asyncio.wait_for(is_seen.wait(), 10)
    watch.stop()

    ((event, facts),) = reports
    assert event == "loop.lag"
    assert float(str(facts["worst_s"])) >= 0.05


def busy(seconds: float) -> None:
    """What a callback must never do: compute for long."""
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        pass
