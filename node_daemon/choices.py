"""What a config names (topology, protocol, task, partition), looked up and checked before the start."""

from collections.abc import Callable, Mapping
from typing import cast

import topologies
from node_daemon.config import CombinedConfigError, Config
from node_daemon.sections import Settings, fields_of
from p2pfl import registry
from p2pfl.errors import ConfigError, unknown_name
from p2pfl.learning.learner import LearningTask
from p2pfl.protocols.protocol import ExchangeProtocol

TRUST = "trust"  # the topology that trust.toml makes: no family


def check_choices(config: Config) -> None:
    """Refuse names and options that do not exist, all of them together, each with where it was set.

    Loads the code that is named.  Raises ConfigError.
    """
    settings = config.settings
    checks: list[tuple[str, Callable[[], None]]] = [
        ("topology", lambda: _check_topology(config)),
        ("protocol", lambda: _check_protocol(settings)),
        ("task", lambda: _check_item("task", settings.task.name, settings.task.options)),
        ("data", lambda: _check_item("partition", settings.data.partition, settings.data.options)),
    ]
    errors = [error for section, check in checks if (error := _failure(config, section, check)) is not None]
    if len(errors) > 1:
        raise CombinedConfigError(errors)
    if errors:
        raise errors[0]


def check_names(settings: Settings) -> None:
    """Refuse unknown names without loading any code; a name with a colon is taken on trust."""
    named = [
        ("topology", settings.topology.name, sorted([*topologies.FAMILIES, TRUST])),
        ("protocol", settings.protocol.name, registry.names("protocol")),
        ("task", settings.task.name, registry.names("task")),
        ("partition", settings.data.partition, registry.names("partition")),
    ]
    for kind, name, known in named:
        if ":" not in name and name not in known:
            raise unknown_name(kind, name, known)


def protocol_class(settings: Settings) -> type[ExchangeProtocol]:
    """The protocol that the settings name; its options are its keyword parameters."""
    return cast(type[ExchangeProtocol], registry.resolve("protocol", settings.protocol.name))


def rounds(settings: Settings) -> int:
    """The budget: as given, else the protocol's own for ``min_peers`` nodes."""
    given = settings.protocol.rounds
    return protocol_class(settings).default_rounds(settings.network.min_peers) if given is None else given


def make_task(settings: Settings) -> LearningTask:
    """The task that the settings name, with its options."""
    make = cast(Callable[..., LearningTask], registry.resolve("task", settings.task.name))
    return make(**settings.task.options)


def _check_topology(config: Config) -> None:
    settings = config.settings
    if settings.topology.name == TRUST:
        for option in settings.topology.options:
            raise unknown_name("option of topology 'trust':", option, ["(none)"])
        return
    # A size that nobody has stated is not held against a topology: only the options are checked then.
    size = settings.network.min_peers if config.is_given("network.min_peers") else None
    section = settings.topology
    topologies.check(section.name, size, seed=settings.network.seed, **section.options)


def _check_protocol(settings: Settings) -> None:
    name, options = settings.protocol.name, settings.protocol.options
    _check_item("protocol", name, options)
    if settings.topology.name == TRUST:
        registry.local_options(name, protocol_class(settings), given=options)


def _check_item(kind: str, name: str, options: Mapping[str, object]) -> None:
    item = registry.resolve(kind, name)
    if not callable(item):
        raise ConfigError(f"{kind} {name!r} is not something that can be called")
    registry.check_options(kind, name, item, options=options)


def _failure(config: Config, section: str, check: Callable[[], None]) -> ConfigError | None:
    """The check's error, with the place where the section's name or option was set."""
    try:
        check()
    except ConfigError as error:
        if not error.where:
            error.where = _origin(config, section, error.what)
        error.fix = error.fix or _meant_key(config, section, error.what)
        return error
    return None


def _meant_key(config: Config, section: str, what: str) -> str:
    """A key of the section itself that was mistyped, and so taken for an option of its item."""
    quoted = [key for key in config.given(section) if repr(key) in what]
    near = unknown_name("key", quoted[0], sorted(fields_of(section))).fix if quoted else ""
    return near.replace("did you mean ", f"did you mean {section}.") if near else ""


def _origin(config: Config, section: str, what: str) -> str:
    """Where the option that the error quotes was set, else the name; "" for a default."""
    name = "partition" if section == "data" else "name"
    options = "data.options" if section == "data" else section
    quoted = [key for key in config.given(options) if repr(key) in what]
    key = f"{options}.{quoted[0]}" if quoted else f"{section}.{name}"
    return config.where(key) if config.is_given(key) else ""
