from dataclasses import fields

import pytest

from p2pfl.errors import ConfigError
from p2pfl.wire.limits import Limits, limits_from


def test_the_config_changes_a_limit_and_leaves_the_others() -> None:
    limits = limits_from({"outbox_messages": 2, "handshake_s": 1})

    assert limits == Limits(outbox_messages=2, handshake_s=1)
    assert limits.control_frame_bytes == 64 * 1024


def test_an_unknown_limit_is_refused_with_the_nearest_known_one() -> None:
    with pytest.raises(ConfigError, match="unknown limit 'outbox_mesages'") as caught:
        limits_from({"outbox_mesages": 2}, where="p2pnode.toml")

    assert "outbox_messages" in caught.value.fix
    assert caught.value.where == "p2pnode.toml"


@pytest.mark.parametrize("value", ["many", 2.5, True, None])
def test_a_limit_that_is_no_whole_number_is_refused(value: object) -> None:
    with pytest.raises(ConfigError, match="it must be a number of kind int"):
        limits_from({"outbox_messages": value})


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_a_limit_must_be_above_zero_and_finite(value: float) -> None:
    with pytest.raises(ConfigError, match=r"limits\.connect_s is"):
        Limits(connect_s=value)


def test_every_limit_can_be_set_from_the_config() -> None:
    assert limits_from({limit.name: limit.default for limit in fields(Limits)}) == Limits()
