"""What an import path of a config yields, held to what its kind needs; raises ConfigError in words."""

import inspect
from collections.abc import Callable
from typing import cast

from p2pfl import registry
from p2pfl.errors import ConfigError
from p2pfl.learning.learner import LearningTask
from p2pfl.protocols.protocol import ExchangeProtocol
from simulations.local_training import Split

PROTOCOL_NEEDS = ("bodies", "default_rounds", "handle", "snapshot", "restore")
TASK_NEEDS = ("name", "dataset", "learner")


def protocol_named(name: str) -> type[ExchangeProtocol]:
    """The class of a protocol."""
    found = registry.resolve("protocol", name)
    if not isinstance(found, type):
        raise ConfigError(f"{name!r} is no class of a protocol but {_shown(found)}")
    _demand(f"protocol {name!r}", found, PROTOCOL_NEEDS)
    return cast(type[ExchangeProtocol], found)


def task_named(name: str, **options: object) -> LearningTask:
    """The task that the callable of that name makes with these options."""
    make = _callable("task", name)
    registry.check_options("task", name, make, options=options)
    check_call("task", name, make, **options)
    return task_from(make(**options), f"task {name!r}")


def task_from(found: object, what: str) -> LearningTask:
    """An object as the task that it is."""
    _demand(what, found, TASK_NEEDS)
    return cast(LearningTask, found)


def partition_named(name: str, **options: object) -> Split:
    """The partitioner of that name, which takes these options."""
    split = _callable("partition", name)
    registry.check_options("partition", name, split, options=options)
    check_call("partition", name, split, "samples", "parts", "seed", **options)
    return cast(Split, split)


def check_call(kind: str, name: str, item: Callable[..., object], *given: str, **options: object) -> None:
    """Refuse what cannot be called with so many arguments (``given`` are their names) and these options."""
    try:
        inspect.signature(item).bind(*given, **options)
    except TypeError as error:
        raise ConfigError(
            f"{kind} {name!r}: {error}", fix=f"it is called as {name}({', '.join([*given, *options])})"
        ) from error


def _callable(kind: str, name: str) -> Callable[..., object]:
    found = registry.resolve(kind, name)
    if not callable(found):
        raise ConfigError(
            f"{name!r} is no {kind} but {_shown(found)}", fix="name something that can be called"
        )
    return found


def _demand(what: str, found: object, needs: tuple[str, ...]) -> None:
    missing = [need for need in needs if not hasattr(found, need)]
    if missing:
        raise ConfigError(f"{what} has no {', no '.join(missing)}: {_shown(found)}")


def _shown(found: object) -> str:
    if isinstance(found, type):
        return f"the class {found.__qualname__}"
    return f"{'an' if type(found).__name__[0] in 'aeiouAEIOU' else 'a'} {type(found).__name__}"
