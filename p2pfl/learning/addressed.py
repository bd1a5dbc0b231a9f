"""The generators of many nodes at once: ``default_rng([seed, node, age, purpose])`` for each of them.

Making one takes 13 µs, mostly for hashing its address; here the addresses of all nodes are hashed together,
and one generator is set to each state in turn, which takes 2.  The hash is numpy's ``SeedSequence``, whose
stream numpy promises to keep (NEP 19); the seeding is PCG64's.

Reference: O'Neill, "Developing a seed_seq alternative", 2015; "PCG: a family of better generators", 2014.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

WORDS = 4  # of an address, and of the pool that it is hashed into
SHIFT = np.uint32(16)
INITIAL_A, FACTOR_A = 0x43B0D7E5, 0x931E8875
INITIAL_B, FACTOR_B = 0x8B51F9DD, 0x58F38DED
MIX_LEFT, MIX_RIGHT = np.uint32(0xCA01F9DD), np.uint32(0x4973F715)
PCG_FACTOR = 0x2360ED051FC65DA44385DF649FCCF645
MASK_32, MASK_128 = (1 << 32) - 1, (1 << 128) - 1

Words = NDArray[np.uint32]


def generators(
    seed: int, nodes: Sequence[int], ages: Sequence[int], *, purpose: int
) -> Iterator[np.random.Generator]:
    """The generator of each node at its age; the next one takes its place.  All numbers below 2 ** 32."""
    if not 0 <= seed <= MASK_32:
        raise ValueError(f"seed {seed} is not below 2 ** 32")
    address = [np.full(len(nodes), seed), np.asarray(nodes), np.asarray(ages), np.full(len(nodes), purpose)]
    words = _state_words(_pool([word.astype(np.uint32) for word in address]))
    bits = np.random.PCG64(0)
    random = np.random.Generator(bits)
    for row in words.tolist():
        a, b, c, d = (low | high << 32 for low, high in zip(row[::2], row[1::2], strict=True))
        increment = ((c << 64 | d) << 1 | 1) & MASK_128
        state = ((increment + (a << 64 | b)) * PCG_FACTOR + increment) & MASK_128
        bits.state = {
            "bit_generator": "PCG64",
            "state": {"state": state, "inc": increment},
            "has_uint32": 0,
            "uinteger": 0,
        }
        yield random


class _Hash:
    """Multiplies by a constant that changes from word to word."""

    def __init__(self, initial: int, factor: int) -> None:
        self._constant = initial
        self._factor = factor

    def __call__(self, value: Words) -> Words:
        value = value ^ np.uint32(self._constant)
        self._constant = self._constant * self._factor & MASK_32
        value = value * np.uint32(self._constant)
        return value ^ (value >> SHIFT)


def _pool(entropy: list[Words]) -> list[Words]:
    hashed = _Hash(INITIAL_A, FACTOR_A)
    pool = [hashed(word) for word in entropy]
    for source in range(WORDS):
        for target in range(WORDS):
            if source != target:
                mixed = MIX_LEFT * pool[target] - MIX_RIGHT * hashed(pool[source])
                pool[target] = mixed ^ (mixed >> SHIFT)
    return pool


def _state_words(pool: list[Words]) -> Words:
    """Eight words for each address, [n, 8]."""
    hashed = _Hash(INITIAL_B, FACTOR_B)
    return np.stack([hashed(pool[i % WORDS]) for i in range(2 * WORDS)], axis=1)
