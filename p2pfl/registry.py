"""Names for everything that can be chosen in a config: one line in a table per item.

A name is looked up in the table of its kind; a name with a colon (``my_lab.walks:Levy``) is an import
path.  Both come from local configuration only, never from the wire.
"""

import inspect
from collections.abc import Callable, Mapping
from importlib import import_module
from types import MappingProxyType

from p2pfl.errors import ConfigError, unknown_name

TABLES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "protocol": {
            "cyclic_pass": "p2pfl.protocols.cyclic_pass:CyclicPass",
            "gossip_averaging": "p2pfl.protocols.gossip_averaging:GossipAveraging",
            "push_sum": "p2pfl.protocols.push_sum:PushSum",
            "random_walk": "p2pfl.protocols.random_walk:RandomWalk",
        },
        "aggregation": {
            "mean": "p2pfl.aggregation.mean:mean",
        },
        "transport": {
            "memory": "p2pfl.transports.memory:MemoryTransport",
            "tcp": "p2pfl.transports.tcp:TcpTransport",
        },
        "discovery": {
            "mdns": "p2pfl.discovery.mdns:MdnsDiscovery",
            "static": "p2pfl.discovery.static:StaticDiscovery",
        },
        "task": {
            "characters": "p2pfl.learning.tasks:characters",
            "cifar10": "p2pfl.learning.tasks:cifar10",
            "digits": "p2pfl.learning.tasks:digits",
            "digits_softmax": "p2pfl.learning.numpy_learner:digits_softmax",
            "idx": "p2pfl.learning.tasks:idx",
            "tabular": "p2pfl.learning.tasks:tabular",
        },
        "dataset": {
            "characters": "p2pfl.data.characters:characters",
            "cifar10": "p2pfl.data.cifar10:cifar10",
            "digits": "p2pfl.data.digits:digits",
            "idx": "p2pfl.data.idx:idx",
            "tabular": "p2pfl.data.tabular:tabular",
        },
        "partition": {
            "by_column": "p2pfl.data.partition:by_column",
            "clustered_stream": "p2pfl.data.clustered_stream:clustered_stream",
            "dirichlet": "p2pfl.data.partition:dirichlet",
            "feature_noise": "p2pfl.data.feature_noise:feature_noise",
            "iid": "p2pfl.data.partition:iid",
            "labels": "p2pfl.data.partition:labels",
            "quantity": "p2pfl.data.partition:quantity",
            "shards": "p2pfl.data.partition:shards",
        },
    }
)

# What ``import p2pfl`` offers, loaded on first use.
EXPORTS: Mapping[str, str] = MappingProxyType(
    {
        "ConfigError": "p2pfl.errors:ConfigError",
        "CyclicPass": "p2pfl.protocols.cyclic_pass:CyclicPass",
        "Dataset": "p2pfl.data.dataset:Dataset",
        "Evaluation": "p2pfl.learning.learner:Evaluation",
        "ExchangeProtocol": "p2pfl.protocols.protocol:ExchangeProtocol",
        "GossipAveraging": "p2pfl.protocols.gossip_averaging:GossipAveraging",
        "Learner": "p2pfl.learning.learner:Learner",
        "Message": "p2pfl.events:Message",
        "Model": "p2pfl.model:Model",
        "P2PError": "p2pfl.errors:P2PError",
        "PushSum": "p2pfl.protocols.push_sum:PushSum",
        "RandomWalk": "p2pfl.protocols.random_walk:RandomWalk",
        "RemoteError": "p2pfl.errors:RemoteError",
        "Samples": "p2pfl.data.dataset:Samples",
        "StateError": "p2pfl.errors:StateError",
        "Task": "p2pfl.learning.task:Task",
        "TransportError": "p2pfl.errors:TransportError",
        "View": "p2pfl.events:View",
        "__version__": "p2pfl.version:__version__",
    }
)


def names(kind: str) -> list[str]:
    """The registered names of a kind, sorted."""
    return sorted(TABLES[kind])


def load(path: str) -> object:
    """The object behind an import path ``module:attribute`` from local configuration.

    Raises ConfigError when the module or the attribute does not exist.
    """
    module_name, _, attribute = path.partition(":")
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and not module_name.startswith(error.name):
            raise ConfigError(
                f"{path!r} needs the package {error.name!r}, which is not installed",
                fix=f"pip install {error.name}",
            ) from error
        raise ConfigError(
            f"no module named {module_name!r} (from {path!r})",
            fix="is it installed, on PYTHONPATH, or beside the experiment's file?",
        ) from error
    try:
        return getattr(module, attribute)
    except AttributeError as error:
        raise ConfigError(f"module {module_name!r} has no attribute {attribute!r}") from error


def resolve(kind: str, name: str) -> object:
    """The registered item, or the one behind an import path ``module:attribute``.

    Raises ConfigError that lists the known names and suggests the nearest.
    """
    if ":" in name:
        return load(name)
    if name not in TABLES[kind]:
        raise unknown_name(kind, name, TABLES[kind])
    return load(TABLES[kind][name])


def local_options(name: str, protocol: object, *, given: Mapping[str, object]) -> Mapping[str, object]:
    """The options that a protocol has to have where a node knows its own neighbourhood alone (one-way trust).

    A protocol says so by ``local_options``; one that says nothing can live with any, one with None with none.
    Raises ConfigError, which names what works, when there are none or others are ``given``.
    """
    local: Mapping[str, object] | None = getattr(protocol, "local_options", {})
    if local is None:
        able = [each for each in names("protocol") if _is_local(each)]
        raise ConfigError(
            f"protocol {name!r} needs an order of all nodes, which one-way trust does not have",
            facts=[
                "with topology 'trust' each node knows its own lists alone",
                f"protocols for one-way trust: {', '.join(able)}",
            ],
            fix="one of these protocols, or a topology that all know: ring, full_mesh, file, …",
        )
    for option, value in local.items():
        if given.get(option, value) != value:
            raise ConfigError(
                f"{option} = {given[option]!r} of protocol {name!r} needs to know the neighbours' neighbours",
                facts=["with topology 'trust' each node knows its own lists alone"],
                fix=f"{option} = {value!r}, or a topology that all know: ring, full_mesh, file, …",
            )
    return local


def _is_local(name: str) -> bool:
    return getattr(resolve("protocol", name), "local_options", {}) is not None


def check_options(
    kind: str, name: str, item: Callable[..., object], *, options: Mapping[str, object]
) -> None:
    """Refuse options that are not keyword-only parameters of ``item``, naming the ones that are."""
    parameters = inspect.signature(item).parameters.values()
    known = [parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]
    for option in options:
        if option not in known:
            raise unknown_name(f"option of {kind} {name!r}:", option, known or ["(none)"])
