"""Every command and every line of Python that the documentation shows is run as it stands there.

A comment before a block says how: ``<!-- test: slow -->``; ``<!-- test: not run, REASON -->``; or
``stopped by Ctrl-C`` for one whose last command runs until somebody ends it.
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.awaiting import until

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(
    r"(?:^<!-- test: (?P<how>[^>]*?) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.M | re.S
)
RUN = {"bash", "console", "python"}
MAX_NOT_RUN = 2  # what needs a package index, or a second machine
TIMEOUT_S = 110


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block of a page."""

    page: str
    line: int
    language: str
    how: str
    text: str


def _blocks() -> Iterator[Block]:
    for page in PAGES:
        text = page.read_text("utf-8")
        for match in BLOCK.finditer(text):
            line = text.count("\n", 0, match.start("language")) + 1
            yield Block(page.name, line, match["language"], match["how"] or "", match["text"])


RUN_HERE = [block for block in _blocks() if block.language in RUN and not block.how.startswith("not run")]
PARAMETERS = [
    pytest.param(
        block, id=f"{block.page}:{block.line}", marks=[pytest.mark.slow] if "slow" in block.how else []
    )
    for block in RUN_HERE
]


def _command(block: Block, home: Path) -> tuple[list[str], Path]:
    """The command that runs a block, and where."""
    if block.language == "python":
        return [sys.executable, "-c", block.text], home
    lines = [line.removeprefix("$ ") for line in block.text.splitlines()]
    is_for_make = any(line.startswith("make ") for line in lines)
    return ["bash", "-euo", "pipefail", "-c", "\n".join(lines)], ROOT if is_for_make else home


def _environment(home: Path) -> dict[str, str]:
    """A user who has just come: an empty home, this installation first on the path, loopback only."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("P2PNODE_", "XDG_"))}
    return kept | {
        "HOME": str(home),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "P2PNODE_NETWORK__PORT": "0",
        "P2PNODE_NETWORK__HOST": "127.0.0.1",
        "MPLBACKEND": "agg",
    }


@pytest.mark.parametrize("block", PARAMETERS)
def test_what_a_page_shows_can_be_done(block: Block, tmp_path: Path) -> None:
    command, folder = _command(block, tmp_path)
    environment = _environment(tmp_path)
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            if "Ctrl-C" in block.how:
                _interrupt_once_it_answers(process, block, environment)
            output, _ = process.communicate(timeout=TIMEOUT_S)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)

    assert process.returncode == 0, f"{block.text}\n{output}"


def _interrupt_once_it_answers(
    process: subprocess.Popen[str], block: Block, environment: dict[str, str]
) -> None:
    """Press Ctrl-C, as soon as the node of the block's network says that it runs."""
    network = re.search(r"--network (\S+)", block.text)
    assert network is not None
    ask = [sys.executable, "-m", "node_daemon", "status", "--network", network[1]]

    def answers() -> bool:
        assert process.poll() is None, process.communicate()[0]
        return (
            subprocess.run(ask, env=environment, cwd=ROOT, capture_output=True, check=False).returncode == 0
        )

    until(answers, deadline_s=60)
    os.killpg(process.pid, signal.SIGINT)


def test_hardly_anything_is_not_run() -> None:
    not_run = [block for block in _blocks() if block.how.startswith("not run")]

    assert len(not_run) <= MAX_NOT_RUN
    assert all("," in block.how for block in not_run), "say why"


def test_every_page_has_its_blocks_found() -> None:
    fences = sum(page.read_text("utf-8").count("\n```") for page in PAGES)

    assert fences == 2 * len(list(_blocks()))
    assert len(RUN_HERE) >= 5


def test_no_page_names_a_path_of_one_machine() -> None:
    for page in PAGES:
        assert not re.search(r"(/home/|/root/|/work/|/tmp/|file://)", page.read_text("utf-8")), page.name
