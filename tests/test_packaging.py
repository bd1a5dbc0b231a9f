"""What is installed is what was meant: four packages, one command, every version pinned."""

import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from p2pfl.version import __version__
from tests import architecture

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
# Import names that differ from the name of their distribution.
DISTRIBUTION = {"sklearn": "scikit-learn"}


def _pins() -> dict[str, Version]:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): Version(version) for name, version in pairs}


def _declared() -> list[Requirement]:
    extras = [text for texts in PROJECT["optional-dependencies"].values() for text in texts]
    return [Requirement(text) for text in [*PROJECT["dependencies"], *extras]]


def _outside(name: str) -> bool:
    return canonicalize_name(name) != "p2pnode"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT)
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path)


def test_the_wheel_holds_every_module_of_the_four_packages_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    tops = {name.partition("/")[0] for name in wheel.namelist()}
    sources = {
        str(path.relative_to(ROOT)) for top in architecture.PACKAGES for path in (ROOT / top).rglob("*.py")
    }

    assert tops == {*architecture.PACKAGES, f"p2pnode-{__version__}.dist-info"}
    assert sources <= set(wheel.namelist())


def test_the_wheel_brings_the_command_and_the_licence(wheel: zipfile.ZipFile) -> None:
    info = f"p2pnode-{__version__}.dist-info"

    assert "p2pnode = node_daemon.cli:main" in wheel.read(f"{info}/entry_points.txt").decode()
    assert "Apache License" in wheel.read(f"{info}/licenses/LICENSE").decode()


def test_every_declared_dependency_is_pinned_within_its_range() -> None:
    pins = _pins()
    for requirement in _declared():
        if _outside(requirement.name):
            pin = pins.get(canonicalize_name(requirement.name))
            assert pin is not None, f"{requirement.name} is not in constraints.txt"
            assert pin in requirement.specifier, f"{requirement} does not allow the pinned {pin}"


def test_every_package_that_a_declared_one_needs_is_pinned() -> None:
    pins = _pins()
    todo = [requirement.name for requirement in _declared() if _outside(requirement.name)]
    seen: set[str] = set()
    while todo:
        name = canonicalize_name(todo.pop())
        if name in seen:
            continue
        seen.add(name)
        try:
            needed = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue  # an extra that is not installed here
        wanted = [Requirement(text) for text in needed]
        todo += [one.name for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})]
    # What pip brings itself, and what a build of torch for a GPU adds, is not pinned here.
    assert {name for name in seen if name not in pins} <= {"pip", "setuptools"}


def test_every_imported_package_is_a_declared_dependency() -> None:
    declared = {canonicalize_name(requirement.name) for requirement in _declared()} | {
        "pydantic",
        "pydantic-core",
    }  # parts of pydantic-settings
    rows = architecture.STOREYS.values()
    imported = {name for row in rows for name in row.third_party}

    missing = {name for name in imported if canonicalize_name(DISTRIBUTION.get(name, name)) not in declared}
    assert missing == set()


def test_what_runs_here_is_the_tested_set() -> None:
    pins = _pins()
    for name in ("numpy", "torch", "networkx", "zeroconf", "msgpack", "cryptography"):
        assert Version(metadata.version(name)).base_version == pins[name].base_version


def test_make_runs_formatting_lint_types_and_the_fast_tests() -> None:
    plan = subprocess.run(["make", "-n", "test"], check=True, capture_output=True, text=True, cwd=ROOT).stdout

    for command in ("ruff format --check", "ruff check", "mypy", 'pytest -m "not slow"'):
        assert command in plan


def test_continuous_integration_runs_the_fast_tests_and_then_the_long_ones() -> None:
    script = (ROOT / ".ci" / "run").read_text("utf-8").splitlines()

    assert script[0] == "#!/usr/bin/env bash"
    assert "set -euo pipefail" in script
    assert [line for line in script if line.startswith("make ")] == ["make test", "make test-slow"]


def test_a_machine_without_python_is_told_what_to_do() -> None:
    answer = subprocess.run(
        ["make", "--no-print-directory", "-W", "pyproject.toml", "PYTHON=", "test"],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )

    assert answer.returncode == 2
    assert "fix: install one, or name it: make PYTHON=" in answer.stderr
