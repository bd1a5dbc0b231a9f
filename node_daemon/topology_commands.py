"""``topology list``, ``show`` and ``compare``: which graphs there are, and what they cost."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import topologies
from node_daemon.output import Answer, table
from p2pfl.errors import ConfigError, unknown_name

WEIGHTS = (
    "weights: Metropolis-Hastings (one-way graphs: equal receive weights); "
    "gap = 1 - second largest |eigenvalue|"
)


@dataclass(frozen=True, slots=True)
class Request:
    """A size, a seed, and options for the families that have them."""

    nodes: int = 16
    seed: int = 0
    options: Mapping[str, object] = field(default_factory=dict)


def request_of(nodes: int, seed: int, *, degree: int | None, options: Sequence[str]) -> Request:
    """What was typed: ``["k=4", "p=0.1"]`` are options, values numbers where they read as such."""
    found: dict[str, object] = {} if degree is None else {"degree": degree}
    for text in options:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise ConfigError(
                f"an option looks like NAME=VALUE, found {text!r}", where="--option", exit_code=2
            )
        found[name] = _value(value)
    return Request(nodes, seed, found)


def list_families() -> Answer:
    """All families with their options."""
    families = topologies.families()
    rows = [
        (family.name, _options_text(family.options), "seed" if family.is_random else "", family.purpose)
        for family in families
    ]
    data = [
        {
            "name": family.name,
            "purpose": family.purpose,
            "options": {name: _plain(value) for name, value in family.options.items()},
            "is_random": family.is_random,
        }
        for family in families
    ]
    rows.append(("trust", "", "", "Whoever shares with whom: not drawn, but made of the nodes' trust.toml."))
    return Answer({"topologies": data}, table(("NAME", "OPTIONS", "RANDOM", "WHAT"), rows))


def show(name: str, request: Request, *, plot: Path | None = None) -> Answer:
    """The figures of one graph, and a picture of it."""
    graph = topologies.build(name, request.nodes, request.seed, **request.options)
    measures = asdict(topologies.measure(graph))
    if plot is not None:
        topologies.draw(graph, plot, title=f"{name}, {graph.number_of_nodes()} nodes")
    rows = [(key.replace("_", " "), value) for key, value in measures.items()]
    text = table(("TOPOLOGY", name), rows)
    data = {"name": name, "seed": request.seed, "options": dict(request.options), **measures}
    if plot is not None:
        data["plot"] = str(plot)
        text += f"\npicture in {plot}"
    return Answer(data, f"{text}\n{WEIGHTS}")


def compare(names: Sequence[str], request: Request, *, plot: Path | None = None) -> Answer:
    """The same figures for several graphs, and their pictures; each takes those options that it has."""
    known = {family.name: family.options for family in topologies.families()}
    _refuse_options_of_none(request.options, [known[name] for name in names if name in known])
    rows, data, graphs = [], [], []
    for name in names:
        options = {key: value for key, value in request.options.items() if key in known.get(name, {})}
        graph = topologies.build(name, request.nodes, request.seed, **options)
        graphs.append(graph)
        measures = topologies.measure(graph)
        data.append({"name": name, "options": options, **asdict(measures)})
        rows.append(
            (
                name,
                _degree(measures),
                measures.diameter,
                f"{measures.spectral_gap:.3f}",
                measures.rounds_to_consensus,
                measures.messages_per_round,
            )
        )
    columns = ("NAME", "DEGREE", "DIAMETER", "SPECTRAL GAP", "ROUNDS TO 1/1000", "MESSAGES/ROUND")
    found: dict[str, object] = {"nodes": request.nodes, "topologies": data}
    text = table(columns, rows)
    if plot is not None:
        topologies.draw_all(graphs, plot, titles=names)
        found["plot"] = str(plot)
        text += f"\npicture in {plot}"
    return Answer(found, f"{text}\n{WEIGHTS}")


def _refuse_options_of_none(options: Mapping[str, object], known: Sequence[Mapping[str, object]]) -> None:
    """An option that none of the compared graphs has was mistyped."""
    names = sorted({name for each in known for name in each})
    for option in options:
        if known and option not in names:
            error = unknown_name("option", option, names)
            raise ConfigError(error.what, where="--option", fix=error.fix)


def _degree(measures: topologies.Measures) -> str:
    if measures.degree_min == measures.degree_max:
        return str(measures.degree_max)
    return f"{measures.degree_min}-{measures.degree_max}"


def _options_text(options: Mapping[str, object]) -> str:
    return ", ".join(
        name if _plain(value) is None else f"{name}={_plain(value)}" for name, value in options.items()
    )


def _plain(value: object) -> object:
    """A default that a config can hold; None for an option that has none."""
    return value if isinstance(value, bool | int | float | str | list) else None


def _value(text: str) -> object:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, bool | int | float | list) else text
