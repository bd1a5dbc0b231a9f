import pytest

from p2pfl.errors import ConfigError
from p2pfl.transports.event_loops import loop_factories, loop_factory


def test_the_standard_loop_is_always_to_be_had_and_uvloop_is_preferred() -> None:
    names = list(loop_factories())

    assert names in (["uvloop", "asyncio"], ["asyncio"])
    assert loop_factory() is loop_factories()[names[0]]


def test_an_unknown_event_loop_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="known: asyncio"):
        loop_factory("trio")
