"""A value of a wrong kind, or a name of something else, is refused in words that name the key."""

import pytest

from p2pfl.errors import ConfigError
from simulations import Experiment


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("protocol", 5),
        ("protocol", None),
        ("protocol", Experiment),
        ("protocol", "simulations:Experiment"),
        ("protocol", "math:pi"),
        ("partition", 3),
        ("partition", "simulations:Experiment"),
        ("partition", "math:pi"),
        ("network", 5),
        ("faults", 5),
        ("membership", 5),
        ("task", 7),
        ("task", None),
        ("task", object()),
        ("task", "simulations:Experiment"),
        ("task", "math:pi"),
        ("task", "idx"),
        ("engine", ["event"]),
        ("engine", None),
        ("device", 5),
        ("dtype", 32),
        ("batched", "no"),
        ("batched", 1),
        ("topology", None),
        ("topology", 5),
        ("compute", None),
        ("seed", "0"),
    ],
)
def test_what_is_of_a_wrong_kind_is_refused_by_its_key(key: str, value: object) -> None:
    settings = {"nodes": 2, "rounds": 1, "task": "digits_softmax", key: value}
    with pytest.raises(ConfigError) as caught:
        Experiment(**settings).setting()  # type: ignore[arg-type]
    assert caught.value.where.startswith(key)
