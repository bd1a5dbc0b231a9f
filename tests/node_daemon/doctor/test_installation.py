from importlib import metadata
from pathlib import Path

from node_daemon.doctor import installation
from tests.node_daemon.doctor.cases import case_of, in_words


def test_the_libraries_are_named(tmp_path: Path) -> None:
    def missing(name: str) -> str:
        if name == "numpy":
            raise metadata.PackageNotFoundError(name)
        return "9.9"

    assert "torch 9.9, uvloop 9.9" in in_words(
        installation.python(case_of(tmp_path), version=lambda _: "9.9")
    )
    assert in_words(installation.python(case_of(tmp_path), version=missing)).startswith("fail missing: numpy")


def test_another_owner_of_our_packages_is_found(tmp_path: Path) -> None:
    ours = {name: ["p2pnode"] for name in installation.PACKAGES}
    stranger = {**ours, "p2pfl": ["P2PNode", "p2pfl"]}

    assert in_words(installation.packages(case_of(tmp_path), owners=lambda: ours)).startswith("ok")
    words = in_words(installation.packages(case_of(tmp_path), owners=lambda: stranger))
    assert words.startswith("fail p2pfl brings import packages")
    assert "pip uninstall p2pfl," in words


def test_this_installation_is_sound(tmp_path: Path) -> None:
    assert in_words(installation.python(case_of(tmp_path))).startswith("ok")
