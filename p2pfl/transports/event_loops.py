"""Which event loop runs the sockets: uvloop where it is installed, else the standard one."""

import asyncio
from collections.abc import Callable, Mapping
from typing import TypeAlias

from p2pfl.errors import unknown_name

LoopFactory: TypeAlias = Callable[[], asyncio.AbstractEventLoop]

uvloop_factory: LoopFactory | None
try:
    from uvloop import new_event_loop as uvloop_factory
except ImportError:  # not made for every platform
    uvloop_factory = None


def loop_factories() -> Mapping[str, LoopFactory]:
    """The event loops to be had here, the preferred one first; for ``asyncio.Runner(loop_factory=...)``."""
    standard: dict[str, LoopFactory] = {"asyncio": asyncio.new_event_loop}
    return standard if uvloop_factory is None else {"uvloop": uvloop_factory, **standard}


def loop_factory(name: str = "") -> LoopFactory:
    """The factory of an event loop by name, by default of the preferred one."""
    factories = loop_factories()
    if name and name not in factories:
        raise unknown_name("event loop", name, factories)
    return factories[name or next(iter(factories))]
