"""Topologies: graphs, mixing weights and their measures.

Names are loaded on first use, so that ``import topologies`` brings no networkx.  A new family is one
file in ``topologies/graphs`` and one line in ``FAMILIES`` (and one in ``__init__.pyi``, for editors).
"""

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType

from p2pfl.errors import ConfigError

# Name in a config -> the function that makes the graph from a number of nodes, options and a seed.
FAMILIES: Mapping[str, str] = MappingProxyType(
    {
        "erdos_renyi": "topologies.graphs.erdos_renyi:erdos_renyi",
        "exponential": "topologies.graphs.exponential:exponential",
        "file": "topologies.files:file_graph",
        "full_mesh": "topologies.graphs.full_mesh:full_mesh",
        "hierarchy": "topologies.graphs.hierarchy:hierarchy_of",
        "hypercube": "topologies.graphs.hypercube:hypercube_of",
        "line": "topologies.graphs.line:line",
        "one_way_ring": "topologies.graphs.one_way_ring:one_way_ring",
        "one_way_trust": "topologies.graphs.one_way_trust:one_way_trust",
        "partial_mesh": "topologies.graphs.partial_mesh:partial_mesh",
        "ring": "topologies.graphs.ring:ring",
        "scale_free": "topologies.graphs.scale_free:scale_free",
        "small_world": "topologies.graphs.small_world:small_world",
        "star": "topologies.graphs.star:star",
        "torus": "topologies.graphs.torus:torus_of",
    }
)

# What else ``import topologies`` offers; a name here goes before a family of the same name.
EXPORTS: Mapping[str, str] = MappingProxyType(
    {
        "Family": "topologies.catalogue:Family",
        "Lists": "topologies.lists:Lists",
        "Measures": "topologies.analysis:Measures",
        "Schedule": "topologies.schedules:Schedule",
        "SizeError": "topologies.checks:SizeError",
        "best_constant_weights": "topologies.mixing:best_constant_weights",
        "build": "topologies.catalogue:build",
        "check": "topologies.members:check",
        "draw": "topologies.drawing:draw",
        "draw_all": "topologies.drawing:draw_all",
        "families": "topologies.catalogue:families",
        "for_members": "topologies.members:for_members",
        "from_file": "topologies.files:from_file",
        "graph_in_file": "topologies.members:graph_in_file",
        "hierarchy": "topologies.graphs.hierarchy:hierarchy",
        "hypercube": "topologies.graphs.hypercube:hypercube",
        "max_degree_weights": "topologies.mixing:max_degree_weights",
        "measure": "topologies.analysis:measure",
        "metropolis_weights": "topologies.mixing:metropolis_weights",
        "mixing_weights": "topologies.mixing:mixing_weights",
        "push_weights": "topologies.mixing:push_weights",
        "receive_weights": "topologies.mixing:receive_weights",
        "rho": "topologies.spectra:rho",
        "rounds_to_consensus": "topologies.spectra:rounds_to_consensus",
        "slem": "topologies.spectra:slem",
        "spectral_gap": "topologies.spectra:spectral_gap",
        "static": "topologies.schedules:static",
        "stationary_distribution": "topologies.spectra:stationary_distribution",
        "torus": "topologies.graphs.torus:torus",
        "trust_lists": "topologies.lists:trust_lists",
        "without_messages": "topologies.mixing:without_messages",
    }
)


def load(path: str) -> object:
    """The object behind ``module:attribute``, from the tables above or from local configuration.

    Raises ConfigError when the module, a package it needs, or the attribute does not exist.
    """
    module_name, _, attribute = path.partition(":")
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        missing = (error.name or module_name).partition(".")[0]
        fix = (
            "pip install 'p2pnode[experiments]'" if missing == "matplotlib" else f"is {missing!r} installed?"
        )
        raise ConfigError(f"{path!r} needs the module {missing!r}, which was not found", fix=fix) from error
    try:
        return getattr(module, attribute)
    except AttributeError as error:
        raise ConfigError(f"module {module_name!r} has no attribute {attribute!r}") from error


def __getattr__(name: str) -> object:
    path = EXPORTS.get(name) or FAMILIES.get(name)
    if path is None or name == "file":
        raise AttributeError(f"module 'topologies' has no attribute {name!r}")
    return load(path)


def __dir__() -> list[str]:
    return sorted({*EXPORTS, *FAMILIES, "EXPORTS", "FAMILIES", "load"} - {"file"})
