"""What holds for every registered aggregation rule."""

from typing import cast

import numpy as np
import pytest
from numpy.typing import NDArray

from p2pfl import registry
from p2pfl.aggregation.blocks import Rule, aggregate

Vector = NDArray[np.float32]
RULES = registry.names("aggregation")


@pytest.fixture(params=RULES)
def rule(request: pytest.FixtureRequest) -> Rule:
    return cast(Rule, registry.resolve("aggregation", request.param))


def models_and_weights(*shape: int) -> tuple[Vector, Vector]:
    rng = np.random.default_rng(list(shape))
    models = rng.standard_normal(shape).astype(np.float32)
    weights = rng.dirichlet(np.ones(shape[-2]), size=shape[:-2]).astype(np.float32)
    return models, weights


def test_equal_models_are_returned_as_they_are(rule: Rule) -> None:
    model = np.linspace(-1, 1, 40, dtype=np.float32)

    result = rule(np.stack([model] * 5), np.full(5, 0.2, dtype=np.float32))

    np.testing.assert_allclose(result, model, rtol=1e-6)


def test_the_result_lies_between_the_models(rule: Rule) -> None:
    models, weights = models_and_weights(6, 50)

    result = rule(models, weights)

    assert (result >= models.min(axis=0) - 1e-6).all()
    assert (result <= models.max(axis=0) + 1e-6).all()


def test_all_nodes_at_once_give_the_bytes_of_each_node_alone(rule: Rule) -> None:
    models, weights = models_and_weights(3, 4, 70)

    together = rule(models, weights)

    assert together.shape == (3, 70)
    assert together.dtype == np.float32
    for node in range(3):
        assert together[node].tobytes() == rule(models[node], weights[node]).tobytes()


def test_blocks_give_the_bytes_of_the_whole_and_change_nothing(rule: Rule) -> None:
    models, weights = models_and_weights(4, 200_000)
    before = models.copy()

    result = aggregate(rule, list(models), [float(weight) for weight in weights])

    assert result.tobytes() == rule(models, weights).tobytes()
    assert models.tobytes() == before.tobytes()
