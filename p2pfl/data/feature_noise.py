"""Parts that differ in what their inputs look like: every sensor has its own noise.

Reference: Li et al., "Federated learning on non-IID data silos" (NIID-Bench), ICDE 2022.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from p2pfl.data.dataset import Samples
from p2pfl.data.partition import Rows, iid
from p2pfl.errors import ConfigError

NOISE_PURPOSE = 0x4E4F4953


@runtime_checkable
class ChangesInputs(Protocol):
    """A partitioner that also changes what its parts hold; it is called as ``change`` with its options."""

    def change(self, held: Samples, part: int, parts: int, *, seed: int, **options: object) -> Samples:
        """What part ``part`` of ``parts`` really holds."""
        ...


class FeatureNoise:
    """Parts as in ``iid``; part i of K adds Gaussian noise of deviation ``sigma * i / (K - 1)``.

    The first part stays clean.  The noise of a row is drawn once, not anew at each use.
    """

    def __call__(self, samples: Samples, parts: int, seed: int, *, sigma: float = 0.1) -> list[Rows]:
        """Rows of each part."""
        _check(sigma)
        return iid(samples, parts, seed)

    def change(self, held: Samples, part: int, parts: int, *, seed: int, sigma: float = 0.1) -> Samples:
        """The part's samples with its noise."""
        deviation = sigma * part / max(parts - 1, 1)
        random = np.random.default_rng([seed, part, 0, NOISE_PURPOSE])
        noise = random.standard_normal(held.inputs.shape, dtype=np.float32)
        return Samples(held.inputs + np.float32(deviation) * noise, held.labels, held.owner)


def _check(sigma: object) -> None:
    if isinstance(sigma, bool) or not isinstance(sigma, int | float) or not 0 <= sigma < np.inf:
        raise ConfigError(f"sigma must be a number from 0, not {sigma!r}", where="data.sigma")


feature_noise = FeatureNoise()


def held_samples(
    split: object,
    samples: Samples,
    rows: Sequence[Rows],
    *,
    part: int,
    seed: int,
    options: Mapping[str, object],
) -> Samples:
    """What one part holds: its rows, changed where the partitioner that made them changes inputs."""
    held = samples.take(rows[part])
    if isinstance(split, ChangesInputs):
        return split.change(held, part, len(rows), seed=seed, **options)
    return held
