"""What every test shares: how many examples a property is tried on."""

from hypothesis import settings

# Fast tests repeat exactly; `make test-nightly` draws new examples, many more of them.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.register_profile("nightly", deadline=None, max_examples=1000, print_blob=True)
settings.load_profile("repeatable")
