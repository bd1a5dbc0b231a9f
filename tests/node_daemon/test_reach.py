import re
from dataclasses import replace
from ipaddress import IPv4Interface
from pathlib import Path

import pytest

from node_daemon import ping_command, reach
from node_daemon.control_client import Json
from node_daemon.paths import Paths
from node_daemon.problems import MAX_PEERS, Problems
from node_daemon.trust_file import TrustFile
from p2pfl.errors import ConfigError, TransportError
from p2pfl.peer.pings import Echoes
from p2pfl.peer.status import PeerRow
from tests.p2pfl.identities import someone

ME, GARAGE, ATTIC = (someone(name).id for name in ("me", "garage", "attic"))
ROW = PeerRow(
    id=GARAGE,
    name="garage",
    address="tcp://192.0.2.7:7964",
    state="up",
    sends_to=True,
    receives_from=True,
    accepted=True,
    shared_with=False,
    accepts_us=True,
    shares_with_us=None,
    version="1.2.3",
    refused_there=0,
    reasons={},
    agrees=True,
    last_model_s=None,
    last_model_round=None,
    models_sent=0,
    models_received=0,
    refused=0,
)
TRUST = TrustFile(accept_from=frozenset({ATTIC}), names={"roof": ATTIC})


@pytest.mark.parametrize(
    ("text", "peer"),
    [
        ("garage", GARAGE),
        (GARAGE, GARAGE),
        (GARAGE.replace("-", "").lower(), GARAGE),
        (GARAGE[:7], GARAGE),
        (GARAGE[:7].lower(), GARAGE),
        ("roof", ATTIC),
        (ATTIC, ATTIC),
    ],
)
def test_a_peer_is_meant_by_its_name_a_petname_or_an_id(text: str, peer: str) -> None:
    assert reach.which(text, [ROW], trust=TRUST, me=ME) == peer


def test_a_mistyped_peer_gets_the_right_suggestion() -> None:
    with pytest.raises(ConfigError, match="unknown peer 'garaeg'") as caught:
        reach.which("garaeg", [ROW], trust=TRUST, me=ME)

    assert (caught.value.fix, caught.value.exit_code) == ("did you mean garage?", 2)


@pytest.mark.parametrize("text", [someone("stranger").id, GARAGE[:6], ""])
def test_an_id_that_nobody_knows_is_unknown(text: str) -> None:
    with pytest.raises(ConfigError, match="unknown peer"):
        reach.which(text, [ROW], trust=TRUST, me=ME)


def test_a_name_of_two_peers_and_our_own_id_are_said() -> None:
    with pytest.raises(ConfigError, match="may mean 2 peers"):
        reach.which("garage", [ROW, replace(ROW, id=ATTIC)], trust=TRUST, me=ME)
    with pytest.raises(ConfigError, match="is this node itself"):
        reach.which(ME, [ROW], trust=TRUST, me=ME)


def test_why_there_is_no_link_is_said() -> None:
    dead = reach.no_link(replace(ROW, state="dead"), GARAGE, "peer.down: silent")
    never = reach.no_link(None, ATTIC, "")

    assert dead.what == f"there is no link to garage ({GARAGE[:7]})"
    assert "it is thought dead" in dead.facts
    assert dead.facts[-1] == "last problem: peer.down: silent"
    assert never.facts == (
        "it has not been met since this node started",
        "last problem: none was reported",
    )
    assert (dead.exit_code, reach.no_answer(ROW, GARAGE, TransportError("x")).exit_code) == (8, 8)


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("tcp://127.0.0.1:1", "loopback"),
        ("tcp://[::1]:1", "loopback"),
        ("tcp://192.0.2.7:7964", "static"),
        ("tcp://10.1.2.3:7964", "lan"),
        ("tcp://192.0.2.8:7964", "routed"),
        ("tcp://somewhere.example:7964", "routed"),
    ],
)
def test_the_path_follows_from_the_address(address: str, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "local_interfaces", lambda: (IPv4Interface("10.1.0.1/16"),))

    assert reach.path_of(address, ["192.0.2.7"]) == path


def test_a_ping_is_put_into_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = reach.facts_of(ROW, Echoes((0.001, 0.004, 0.002), 737_280, 0.01), [])
    asked: list[object] = []

    def request(*arguments: object) -> dict[str, Json]:
        asked.append(arguments[1:])
        return found

    monkeypatch.setattr(ping_command, "request", request)
    paths = Paths(tmp_path, tmp_path, tmp_path, tmp_path)

    text = ping_command.ping(paths, "garage").text

    assert asked == [("ping", {"peer": "garage"})]
    assert "round trip  1.0 ms to 4.0 ms, median 2.0 ms, 3 answers" in text
    assert "at least 73.7 MB/s in both directions at once (720 KiB echoed" in text
    assert "I accept: yes   I share: no   accepts me: yes   shares with me: ?" in text
    assert re.search(r"version +1\.2\.3", text)


def test_the_last_problem_with_a_peer_is_kept_until_it_is_linked() -> None:
    problems = Problems()
    problems.note("peer.unreachable", {"peer": "a", "address": "tcp://h:1", "problem": "refused"})
    problems.note("round.done", {"peer": "a", "problem": "nothing"})

    assert problems.of("a") == problems.of("tcp://h:1") == "peer.unreachable: refused"
    problems.note("peer.up", {"peer": "a", "address": "tcp://h:1"})
    problems.note("peer.down", {"peer": "b", "reason": "silent"})
    assert dict(problems.all) == {"b": "peer.down: silent"}


def test_a_crowd_of_problems_is_bounded() -> None:
    problems = Problems()
    for number in range(3 * MAX_PEERS):
        problems.note("peer.refused", {"peer": "", "address": f"tcp://h:{number}", "problem": "x"})

    assert len(problems.all) == MAX_PEERS
    assert problems.of(f"tcp://h:{3 * MAX_PEERS - 1}")
