"""p2pfl: machines learn one model together, and nobody is in charge.

Names are loaded on first use, so that ``import p2pfl.errors`` brings no torch.
"""

from p2pfl.registry import EXPORTS, load


def __getattr__(name: str) -> object:
    if name not in EXPORTS:
        raise AttributeError(f"module 'p2pfl' has no attribute {name!r}")
    return load(EXPORTS[name])


def __dir__() -> list[str]:
    return sorted(EXPORTS)
