import numpy as np
import pytest

from p2pfl.errors import ConfigError, RemoteError
from p2pfl.wire.bodies import BodySchema
from p2pfl.wire.limits import Limits
from tests.p2pfl.wire.samples import PARAMETERS, SCHEMA


def test_a_model_alone_is_exactly_its_parameters() -> None:
    layout = SCHEMA.layout("model", has_model=True, lengths=[])

    assert layout.arrays == ((0, PARAMETERS, "float32"),)
    assert layout.size_bytes == 4 * PARAMETERS


def test_each_array_begins_at_a_multiple_of_eight_bytes() -> None:
    layout = SCHEMA.layout("total", has_model=True, lengths=[3])

    assert layout.arrays == ((0, 7, "float32"), (32, 3, "float64"))
    assert layout.size_bytes == 56


def test_no_body_is_larger_than_the_capacity_of_its_kind() -> None:
    for kind in ("model", "tracking", "total", "codes"):
        for arrays in range(3):
            for has_model in (False, True):
                try:
                    layout = SCHEMA.layout(kind, has_model=has_model, lengths=[PARAMETERS] * arrays)
                except RemoteError:
                    continue
                assert layout.size_bytes <= SCHEMA.capacity(kind)


def test_a_kind_that_is_not_declared_has_no_body() -> None:
    assert SCHEMA.capacity("note") == 0
    assert SCHEMA.layout("note", has_model=False, lengths=[]).size_bytes == 0
    with pytest.raises(RemoteError, match="at most 0"):
        SCHEMA.layout("note", has_model=False, lengths=[1])


def test_views_are_of_the_body_itself() -> None:
    layout = SCHEMA.layout("tracking", has_model=True, lengths=[2])
    body = np.arange(layout.size_bytes, dtype=np.uint8)

    views = layout.views(body)

    assert [view.size for view in views] == [PARAMETERS, 2]
    assert all(np.shares_memory(view, body) for view in views)


def test_a_model_above_the_limit_is_refused_before_the_start() -> None:
    with pytest.raises(ConfigError, match=r"3\.8 MiB; limits\.model_mb allows 1"):
        BodySchema(1_000_000, {}, Limits(model_mb=1))


def test_bodies_that_no_frame_can_hold_and_unknown_numbers_are_refused_before_the_start() -> None:
    with pytest.raises(ConfigError, match="above 4 GiB"):
        BodySchema(2**27, {"many": (9, "float32")}, Limits())
    with pytest.raises(ConfigError, match="arrays of complex64"):
        BodySchema(10, {"model": (1, "complex64")}, Limits())
