"""What every test shares: how many examples a property is tried on, and what the collector passes by."""

import gc
import signal

from hypothesis import settings

from tests.examples import REPEATABLE_EXAMPLES

# A shell that starts the tests in the background ignores Ctrl-C for them, and so for all that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Fast tests repeat exactly; `make test-nightly` draws new examples, many more of them.
settings.register_profile("repeatable", deadline=None, derandomize=True, max_examples=REPEATABLE_EXAMPLES)
settings.register_profile("nightly", deadline=None, max_examples=1000, print_blob=True)
settings.load_profile("repeatable")


def pytest_collection_finish() -> None:
    """Imported modules stay to the end: no collection need look at them again."""
    gc.collect()
    gc.freeze()
