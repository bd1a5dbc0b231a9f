import numpy as np
import pytest
from numpy.typing import NDArray

from p2pfl.aggregation import blocks
from p2pfl.aggregation.blocks import aggregate
from p2pfl.aggregation.mean import mean

Vector = NDArray[np.float32]


def vectors_and_weights(count: int, size: int) -> tuple[list[Vector], list[float]]:
    rng = np.random.default_rng([count, size])
    return list(rng.standard_normal((count, size)).astype(np.float32)), rng.dirichlet(np.ones(count)).tolist()


@pytest.mark.parametrize("block_bytes", [1, 8192, 1 << 20])
@pytest.mark.parametrize("size", [1, 255, 256, 257, 5000])
def test_bytes_do_not_depend_on_the_blocks(
    monkeypatch: pytest.MonkeyPatch, size: int, block_bytes: int
) -> None:
    vectors, weights = vectors_and_weights(5, size)
    monkeypatch.setattr(blocks, "BLOCK_BYTES", block_bytes)

    result = aggregate(mean, vectors, weights)

    assert result.tobytes() == mean(np.stack(vectors), np.asarray(weights, dtype=np.float32)).tobytes()


def test_the_models_are_never_stacked_whole() -> None:
    vectors, weights = vectors_and_weights(4, 400_000)
    widest = 0

    def watching(models: Vector, factors: Vector) -> Vector:
        nonlocal widest
        widest = max(widest, models.nbytes)
        return mean(models, factors)

    aggregate(watching, vectors, weights)

    assert 0 < widest <= blocks.BLOCK_BYTES


def test_the_result_is_a_new_vector_and_the_models_stay_as_they_are() -> None:
    vectors, _ = vectors_and_weights(1, 300)
    before = vectors[0].copy()

    result = aggregate(mean, vectors, [1.0])

    assert result.tobytes() == before.tobytes()
    assert not np.shares_memory(result, vectors[0])
    result[:] = 0
    assert vectors[0].tobytes() == before.tobytes()


@pytest.mark.parametrize(
    ("sizes", "weights", "message"),
    [
        ([], [], "nothing"),
        ([3, 3], [1.0], "2 vectors but 1 weights"),
        ([3, 4], [0.5, 0.5], "differ"),
    ],
)
def test_vectors_that_do_not_belong_together_are_refused(
    sizes: list[int], weights: list[float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        aggregate(mean, [np.zeros(size, dtype=np.float32) for size in sizes], weights)


def test_vectors_of_another_dtype_are_refused() -> None:
    mixed = [np.zeros(3, dtype=np.float32), np.zeros(3, dtype=np.float64)]
    with pytest.raises(ValueError, match="differ"):
        aggregate(mean, mixed, [0.5, 0.5])  # type: ignore[arg-type]
