"""On how many examples a property is tried where the profile's own number is too few."""

from hypothesis import settings

REPEATABLE_EXAMPLES = 50  # of each property in the fast tests


def examples(count: int) -> settings:
    """``count`` examples in the fast tests; in the nightly ones as many times more as any other property."""
    return settings(max_examples=count * settings().max_examples // REPEATABLE_EXAMPLES)


def seeds(few: int, *, nightly: int) -> range:
    """Seeds of a test that is repeated: a few of them, in the nightly ones many."""
    return range(nightly if settings().max_examples > REPEATABLE_EXAMPLES else few)
