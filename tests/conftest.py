"""What every test shares: how many examples a property is tried on, and what the collector passes by."""

import gc

from hypothesis import settings

from tests.examples import REPEATABLE_EXAMPLES

# Fast tests repeat exactly; `make test-nightly` draws new examples, many more of them.
settings.register_profile("repeatable", deadline=None, derandomize=True, max_examples=REPEATABLE_EXAMPLES)
settings.register_profile("nightly", deadline=None, max_examples=1000, print_blob=True)
settings.load_profile("repeatable")


def pytest_collection_finish() -> None:
    """Imported modules stay to the end: no collection need look at them again."""
    gc.collect()
    gc.freeze()
