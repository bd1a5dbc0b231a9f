"""The daemon, its configuration, its control socket and its command line.

``node_daemon.load(home)`` gives the model that a node has stored.
"""

from p2pfl import registry


def __getattr__(name: str) -> object:
    if name != "load":
        raise AttributeError(f"module 'node_daemon' has no attribute {name!r}")
    return registry.load("node_daemon.stored_model:load")  # on first use: it brings numpy and safetensors


def __dir__() -> list[str]:
    return ["load"]
