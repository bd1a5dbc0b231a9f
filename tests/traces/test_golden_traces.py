"""Every protocol does what it did; ``python -m tests.traces.golden`` writes anew what is meant to change."""

import pytest

from p2pfl import registry
from tests.traces.golden import FOLDER, NETWORKS, file_of, trace_of

CASES = [(protocol, network) for protocol in registry.names("protocol") for network in NETWORKS]


@pytest.mark.parametrize(("protocol", "network"), CASES)
def test_a_run_follows_its_golden_trace(protocol: str, network: str) -> None:
    assert (
        trace_of(protocol, network).splitlines() == file_of(protocol, network).read_text("utf-8").splitlines()
    )


def test_there_is_no_trace_of_a_protocol_that_is_gone() -> None:
    assert {path.name for path in FOLDER.glob("*.txt")} == {file_of(*case).name for case in CASES}


@pytest.mark.parametrize("protocol", registry.names("protocol"))
def test_all_members_finish_though_messages_are_lost_and_one_member_crashes(protocol: str) -> None:
    lines = trace_of(protocol, "lossy").splitlines()
    finished = {line.split()[1] for line in lines if " finished" in line}
    assert finished == {"00000", "00001", "00002", "00003"}
    assert any(line.endswith(" lost") for line in lines)
    assert any(line.endswith(" down") for line in lines)
