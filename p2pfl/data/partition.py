"""Dividing training rows among nodes: who holds what, as lists of row numbers.

Every partitioner is ``(samples, parts, seed, *, options) -> [rows of part 0, rows of part 1, ...]``: sorted
row numbers, disjoint, their union all rows, no part empty, a function of its arguments alone.  Partitions of
one name differ between libraries: ``fingerprint`` says which one a run had, ``histogram`` how it looks.
Reference: Li et al., "Federated learning on non-IID data silos" (NIID-Bench), ICDE 2022.
"""

import hashlib
import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from p2pfl.data.dataset import Samples
from p2pfl.errors import ConfigError

Rows: TypeAlias = NDArray[np.int64]

PARTITION_PURPOSE = 0x50415254
MAX_DRAWS = 100  # after so many unlucky draws the last one is levelled


def iid(samples: Samples, parts: int, seed: int) -> list[Rows]:
    """Shuffled and cut into parts whose sizes differ by at most one row."""
    _require_rows(samples, parts, 1)
    order = _random(seed).permutation(len(samples))
    return [np.sort(rows) for rows in np.array_split(order, parts)]


def dirichlet(
    samples: Samples, parts: int, seed: int, *, alpha: float = 0.5, min_samples: int = 10
) -> list[Rows]:
    """Each class is shared out by ``p ~ Dir(alpha 1_K)``: the smaller alpha, the more the labels differ.

    As in NIID-Bench a part that already holds S / K rows gets no more, and the draw is repeated until every
    part has ``min_samples``.  Where that is unlikely (many parts), the last draw is levelled: the largest
    part gives rows of its most frequent class.
    """
    _require_positive("alpha", alpha)
    _require_rows(samples, parts, min_samples)
    _, class_of = np.unique(samples.labels, return_inverse=True)
    sizes = np.bincount(class_of)
    random = _random(seed)
    for _ in range(MAX_DRAWS):
        counts = _draw_class_counts(random, sizes, parts=parts, alpha=alpha)
        if counts.sum(axis=1).min() >= min_samples:
            break
    return _deal(random, class_of, _levelled(counts, min_samples))


def quantity(
    samples: Samples, parts: int, seed: int, *, beta: float = 0.5, min_samples: int = 10
) -> list[Rows]:
    """Sizes by ``q ~ Dir(beta 1_K)``, labels alike; ``min_samples`` as in ``dirichlet``."""
    _require_positive("beta", beta)
    _require_rows(samples, parts, min_samples)
    random = _random(seed)
    for _ in range(MAX_DRAWS):
        counts = _cut(len(samples), random.dirichlet(np.full(parts, beta)))[:, None]
        if counts.min() >= min_samples:
            break
    return _deal(random, np.zeros(len(samples), dtype=np.int64), _levelled(counts, min_samples))


def shards(samples: Samples, parts: int, seed: int, *, per_party: int = 2) -> list[Rows]:
    """Sorted by label, cut into ``parts * per_party`` shards, ``per_party`` of them for each part.

    Most parts then know about ``per_party`` classes.  Reference: McMahan et al., AISTATS 2017.
    """
    _require_count("per_party", per_party)
    _require_rows(samples, parts, per_party)
    random = _random(seed)
    order = random.permutation(len(samples))
    order = order[np.argsort(samples.labels[order], kind="stable")]
    pieces = np.array_split(order, parts * per_party)
    dealt = random.permutation(parts * per_party).reshape(parts, per_party)
    return [np.sort(np.concatenate([pieces[piece] for piece in mine])) for mine in dealt]


def labels(samples: Samples, parts: int, seed: int, *, per_party: int = 2) -> list[Rows]:
    """Part i has class ``i mod C`` and ``per_party - 1`` random others; holders share a class evenly.

    A class that nobody drew takes the place of one that several hold.  As in NIID-Bench ("#label = k").
    """
    _require_count("per_party", per_party)
    _require_rows(samples, parts, 1)
    _, class_of = np.unique(samples.labels, return_inverse=True)
    sizes = np.bincount(class_of)
    if not len(sizes) <= per_party * parts or per_party > len(sizes):
        raise ConfigError(
            f"{parts} parts of {per_party} classes each cannot hold {len(sizes)} classes",
            where="data.per_party",
            fix=f"per_party from {-(-len(sizes) // parts)} to {len(sizes)}",
        )
    random = _random(seed)
    holds = _draw_holders(random, parts, len(sizes), per_party=per_party)
    counts = np.zeros((parts, len(sizes)), dtype=np.int64)
    for label, size in enumerate(sizes):
        holders = random.permutation(np.flatnonzero(holds[:, label]))
        counts[holders, label] = [len(rows) for rows in np.array_split(np.arange(size), len(holders))]
    if (empty := np.flatnonzero(counts.sum(axis=1) == 0)).size:
        raise ConfigError(
            f"part {empty[0]} would be empty: its classes have fewer rows than holders",
            where="data.parts",
            fix="fewer parts, or a larger per_party",
        )
    return _deal(random, class_of, counts)


def by_column(samples: Samples, parts: int, seed: int) -> list[Rows]:
    """The natural split: one part per owner (writer, hospital, device), in the order of their names."""
    del seed  # nothing is drawn
    if samples.owner is None:
        raise ConfigError(
            "partition 'by_column' needs a dataset that names the owner of each row, and this one does not",
            where="data.partition",
            fix="use dirichlet, iid, quantity or shards",
        )
    owners, owner_of = np.unique(samples.owner, return_inverse=True)
    if parts != len(owners):
        raise ConfigError(
            f"partition 'by_column' gives one part per owner: {len(owners)} owners, but {parts} parts",
            where="data.parts",
            fix=f"parts = {len(owners)}",
        )
    return [np.flatnonzero(owner_of == owner) for owner in range(parts)]


def histogram(samples: Samples, parts: Sequence[Rows], classes: int) -> NDArray[np.int64]:
    """Rows of each class in each part, [K, C]."""
    return np.array([np.bincount(samples.labels[rows], minlength=classes) for rows in parts], dtype=np.int64)


def fingerprint(parts: Sequence[Rows]) -> str:
    """SHA-256 of the index map, in hex: two runs with the same one had the same data at every node."""
    digest = hashlib.sha256()
    for rows in parts:
        digest.update(len(rows).to_bytes(8, "little"))
        digest.update(rows.astype("<i8").tobytes())
    return digest.hexdigest()


def _random(seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, 0, 0, PARTITION_PURPOSE])


def _draw_class_counts(
    random: np.random.Generator, sizes: NDArray[np.int64], *, parts: int, alpha: float
) -> NDArray[np.int64]:
    """Rows of each class that each part gets, [K, C]."""
    counts = np.zeros((parts, len(sizes)), dtype=np.int64)
    for label, size in enumerate(sizes):
        shares = random.dirichlet(np.full(parts, alpha))
        has_room = counts.sum(axis=1) * parts < sizes.sum()
        open_shares = np.where(has_room, shares, 0.0)
        total = open_shares.sum()
        # A tiny alpha can put the whole class where there is no room: then those with room share it.
        counts[:, label] = _cut(int(size), open_shares / total if total > 0 else has_room / has_room.sum())
    return counts


def _draw_holders(
    random: np.random.Generator, parts: int, classes: int, *, per_party: int
) -> NDArray[np.bool_]:
    """Which part holds which class, [K, C]: ``per_party`` in each row, no column without a holder."""
    holds = np.zeros((parts, classes), dtype=np.bool_)
    for part in range(parts):
        own = part % classes
        others = random.choice(np.delete(np.arange(classes), own), per_party - 1, replace=False)
        holds[part, [own, *others]] = True
    for orphan in np.flatnonzero(~holds.any(axis=0)):
        spare = holds & (holds.sum(axis=0) > 1)
        spare[np.arange(parts), np.arange(parts) % classes] = False
        part, label = random.permutation(np.argwhere(spare))[0]
        holds[part, [label, orphan]] = False, True
    return holds


def _cut(size: int, shares: NDArray[np.float64]) -> NDArray[np.int64]:
    """``size`` rows cut at the cumulative sums of ``shares``; the last part gets what rounding leaves."""
    ends = (np.cumsum(shares) * size).astype(np.int64).clip(0, size)
    ends[-1] = size
    return np.diff(ends, prepend=0)


def _levelled(counts: NDArray[np.int64], min_samples: int) -> NDArray[np.int64]:
    """The same totals per class with at least ``min_samples`` rows in every part."""
    counts = counts.copy()
    sizes = counts.sum(axis=1)
    for poor in np.flatnonzero(sizes < min_samples):
        while sizes[poor] < min_samples:
            rich = int(sizes.argmax())
            label = int(counts[rich].argmax())
            counts[rich, label] -= 1
            counts[poor, label] += 1
            sizes[rich] -= 1
            sizes[poor] += 1
    return counts


def _deal(random: np.random.Generator, class_of: NDArray[np.int64], counts: NDArray[np.int64]) -> list[Rows]:
    """Give each part its number of rows of each class, drawn at random within the class."""
    pieces = [
        np.split(random.permutation(np.flatnonzero(class_of == label)), ends)
        for label, ends in enumerate(counts.cumsum(axis=0)[:-1].T)
    ]
    return [np.sort(np.concatenate([of_class[part] for of_class in pieces])) for part in range(len(counts))]


def _require_positive(option: str, found: object) -> None:
    if not (isinstance(found, int | float) and found > 0 and math.isfinite(found)):
        raise ConfigError(f"{option} must be a number above 0, not {found!r}", where=f"data.{option}")


def _require_count(option: str, found: object) -> None:
    if not (isinstance(found, int | np.integer) and found >= 1):
        raise ConfigError(f"{option} must be a whole number from 1, not {found!r}", where=f"data.{option}")


def _require_rows(samples: Samples, parts: int, min_samples: int) -> None:
    """Refuse what no division can satisfy, and say what would work."""
    rows = len(samples)
    _require_count("parts", parts)
    _require_count("min_samples", min_samples)
    if parts * min_samples > rows:
        smaller = f", or at least {rows // parts} rows each" if rows >= parts else ""
        raise ConfigError(
            f"{rows} rows cannot give {parts} parts at least {min_samples} rows each",
            where="data.parts",
            fix=f"at most {rows // min_samples} parts{smaller}",
        )
