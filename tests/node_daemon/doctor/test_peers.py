from collections.abc import Sequence
from pathlib import Path

import pytest

from node_daemon.doctor import peers
from node_daemon.doctor.finding import Case, Finding
from node_daemon.doctor.peers import Target
from node_daemon.doctor.remedies import REMEDIES, remedy_for
from node_daemon.files import load_or_create_identity
from node_daemon.journal import Journal
from p2pfl.errors import RemoteError, TransportError
from p2pfl.transports.probe import Probed
from p2pfl.wire.link_codec import REFUSAL_CODES
from p2pfl.wire.packets import Greeting
from tests.node_daemon.doctor.cases import case_of
from tests.p2pfl.identities import someone

GARAGE = someone("garage").id
STATIC = "[network]\nmdns = false\nstatic = ['127.0.0.1:7964', 'attic.example:7964', '127.0.0.1:7001']\n"
LISTED = "mode = 'list'\n"


def words(findings: Sequence[Finding]) -> list[str]:
    return [f"{one.name}: {one.grade.value} {one.found}" for one in findings]


def greeting(*, accepts: bool, shares: bool) -> Greeting:
    return Greeting(
        GARAGE, "garage", bytes(32), 1, bytes(8), bytes(8), "", "", accepts, shares, version="1.2"
    )


def test_static_peers_are_looked_at_without_our_own_address(tmp_path: Path) -> None:
    answers: dict[str, Probed | Exception] = {
        "tcp://attic.example:7964": TransportError("the name attic.example cannot be resolved"),
        "tcp://127.0.0.1:7001": RemoteError("it does not know us", code="not_admitted"),
    }

    def look(target: Target) -> Probed:
        found = answers[target.address]
        if isinstance(found, Exception):
            raise found
        return found

    case = case_of(tmp_path, STATIC, trust=LISTED)
    found = peers.peers(case, look=look)
    assert words(found) == [
        "peer-attic.example:7964: warn the name attic.example cannot be resolved",
        "peer-127.0.0.1:7001: fail not_admitted: it does not know us",
    ]
    assert "p2pnode trust add" in found[1].remedy

    for accepts, shares, end in (
        (True, False, "ok garage ({}), 3 ms, version 1.2, accepts us, does not share with us"),
        (False, False, "warn garage ({}), 3 ms, version 1.2, does not accept us, does not share with us"),
    ):
        answers["tcp://127.0.0.1:7001"] = Probed(0.003, greeting(accepts=accepts, shares=shares))
        assert words(peers.peers(case, look=look))[1] == f"peer-127.0.0.1:7001: {end.format(GARAGE[:7])}"


def test_where_peers_were_met_is_looked_at_too_with_their_ids(tmp_path: Path) -> None:
    journal, seen = Journal(tmp_path / "state"), list[Target]()
    journal.append("peer.up", peer=GARAGE, name="garage", address="tcp://10.0.0.1:7")
    journal.append("peer.up", peer=GARAGE, name="garage", address="tcp://10.0.0.2:7")

    def look(target: Target) -> Probed:
        seen.append(target)
        raise TransportError("no answer within 5 s")

    found = peers.peers(case_of(tmp_path, trust=LISTED), look=look)

    assert seen == [Target("tcp://10.0.0.2:7", GARAGE, "garage")]
    assert words(found) == ["peer-garage: warn no answer within 5 s"]


def test_a_running_daemon_is_asked_instead(tmp_path: Path) -> None:
    def never(_target: Target) -> Probed:
        raise AssertionError("a probe beside a running daemon")

    row = {"id": GARAGE, "name": "garage", "address": "tcp://127.0.0.1:7001", "version": "1.2"}
    found = {
        "peers": [
            {**row, "state": "up", "accepts_us": True, "shares_with_us": False},
            {**row, "state": "dead", "name": "", "id": someone("van").id, "address": "tcp://x:1"},
        ],
        "problems": {
            someone("van").id: "peer.down: silent",
            "tcp://attic.example:7964": "peer.unreachable: no",
        },
    }
    case = case_of(tmp_path, STATIC, trust=LISTED, status={"pid": 1}, peers=found)  # type: ignore[arg-type]

    assert words(peers.peers(case, look=never)) == [
        f"peer-garage: ok up ({GARAGE[:7]}), version 1.2, accepts us, does not share with us",
        f"peer-{someone('van').id[:7]}: warn dead: peer.down: silent",
        "peer-attic.example:7964: warn peer.unreachable: no",
    ]


@pytest.mark.parametrize(
    ("text", "start"), [("", "ok none is written down"), ("[network]\nmdns = false\n", "warn none is known")]
)
def test_nobody_to_look_at_is_said(tmp_path: Path, text: str, start: str) -> None:
    (finding,) = peers.peers(case_of(tmp_path, text, trust=LISTED))

    assert f"{finding.grade.value} {finding.found}".startswith(start)


def test_an_address_where_nobody_listens_is_really_tried(tmp_path: Path) -> None:
    text = "[network]\nstatic = ['127.0.0.1:1']\n"
    load_or_create_identity(tmp_path)

    for trust in (LISTED, "mode = 'open'\n"):
        assert words(peers.peers(case_of(tmp_path, text, trust=trust))) == [
            "peer-127.0.0.1:1: warn no connection: connection refused"
        ]


def test_every_refusal_has_a_remedy(tmp_path: Path) -> None:
    case: Case = case_of(tmp_path, "[network]\nname = 'lab'\n")

    assert remedy_for("wrong_network", case) == "both nodes need network.name = 'lab'"
    assert remedy_for("something new", case) == "p2pnode logs, here and there, says more"
    for_operators = {"not_admitted", "wrong_network", "wrong_plan", "wrong_version", "wrong_network_key"}
    assert for_operators <= REMEDIES.keys() & {*REFUSAL_CODES}
