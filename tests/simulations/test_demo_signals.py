"""The demo ends in order when it is told to, whoever tells it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.awaiting import is_gone, until

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("numbers", "code"),
    [([signal.SIGTERM], 143), ([signal.SIGINT], 130), ([signal.SIGINT, signal.SIGINT], 130)],
)
def test_a_demo_that_is_stopped_leaves_no_process_and_no_folder(
    tmp_path: Path, numbers: list[signal.Signals], code: int
) -> None:
    command = [sys.executable, "-m", "node_daemon", "demo", "--rounds", "100", "--json"]
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment) as demo:
        mine = psutil.Process(demo.pid)
        until(lambda: len(mine.children(recursive=True)) > 5, deadline_s=60)
        children = mine.children(recursive=True)
        for number in numbers:
            demo.send_signal(number)
        output, _ = demo.communicate(timeout=30)

    assert demo.returncode == code
    assert json.loads(output)["error"]["code"] == code
    assert all(is_gone(child.pid) for child in children)
    assert not list(tmp_path.glob("p2pnode-*"))
