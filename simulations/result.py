"""What an experiment leaves behind."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from statistics import fmean
from typing import Self, cast

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from p2pfl.errors import P2PError, StateError
from p2pfl.learning import swarm_learner
from simulations.extras import from_extra
from simulations.metrics import consensus_distance
from simulations.plain_data import Plain, plain
from simulations.result_files import Rows, Stored, read_stored, write_stored
from simulations.result_rows import Evaluated, RoundFigures
from simulations.result_text import as_html, as_text, bytes_text

TABLES = {"accuracy": Evaluated, "final": Evaluated, "by_round": RoundFigures}
ARRAYS = ("models", "graph")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Result:
    """Figures and models of one run.

    ``accuracy`` has one row per node and evaluated round, in the order in which they happened (the first of a
    round that a node does again), ``by_round`` one per evaluated round, in the order of rounds and of time;
    ``models`` [N, P] are the last adopted ones, ``final`` their evaluations.
    ``bytes_sent`` counts models and bodies.  ``config`` is the experiment as a file has it, ``versions`` what
    ``p2pnode version`` says, ``graph`` the one of round 0.  ``memory_bytes`` is of real daemons on Linux: the
    proportional set size of each when the last has done its rounds, 0 of one that is down then.
    """

    engine: str
    seed: int
    rounds: int
    accuracy: tuple[Evaluated, ...]
    final: tuple[Evaluated, ...]
    models: swarm_learner.Rows
    bytes_sent: int
    messages_sent: int
    virtual_seconds: float | None
    by_round: tuple[RoundFigures, ...] = ()
    config: Mapping[str, Plain] = field(default_factory=dict)
    versions: Mapping[str, str | None] = field(default_factory=dict)
    graph: nx.Graph | None = None
    memory_bytes: tuple[int, ...] | None = None

    @property
    def nodes(self) -> int:
        """N."""
        return len(self.models)

    @property
    def final_accuracy(self) -> float:
        """Mean over the nodes of the accuracy of the last model."""
        return fmean(row.accuracy for row in self.final)

    @property
    def consensus_distance(self) -> float:
        """How far the last models are from their mean."""
        return consensus_distance(self.models)

    @property
    def title(self) -> str:
        """What was run, in a line."""
        words = [_name(self.config.get(key)) for key in ("protocol", "topology", "task")]
        named = ", ".join(word for word in words if word)
        return f"{named or 'experiment'}: {self.nodes} nodes, {self.rounds} rounds, {self.engine} engine"

    @property
    def figures(self) -> dict[str, str]:
        """The figures of the whole run, in words."""
        accuracies = [row.accuracy for row in self.final]
        found = {
            "final accuracy": f"{self.final_accuracy:.3f} ({min(accuracies):.3f} to {max(accuracies):.3f})",
            "consensus distance": f"{self.consensus_distance:.4g}",
            "sent": f"{bytes_text(self.bytes_sent)} in {self.messages_sent:,} messages",
        }
        if self.virtual_seconds is not None:
            found["virtual time"] = f"{self.virtual_seconds:,.1f} s"
        shown = (f"{name} {value}" for name, value in self.versions.items() if name in ("version", "torch"))
        return found | {"seed": str(self.seed), "made with": ", ".join(shown) or "-"}

    def summary(self) -> dict[str, Plain]:
        """The figures of the whole run as plain data, with all that names the run."""
        return {
            "engine": self.engine,
            "nodes": self.nodes,
            "rounds": self.rounds,
            "seed": self.seed,
            "final_accuracy": self.final_accuracy,
            "consensus_distance": self.consensus_distance,
            "bytes_sent": self.bytes_sent,
            "messages_sent": self.messages_sent,
            "virtual_seconds": self.virtual_seconds,
            "config": dict(self.config),
            "versions": dict(self.versions),
        }

    def __repr__(self) -> str:
        return as_text(self.title, self.figures)

    def _repr_html_(self) -> str:
        """For notebooks."""
        return as_html(self.title, self.figures)

    def to_records(self) -> list[dict[str, float | int | None]]:
        """One row per node and evaluated round, as plain dicts."""
        return [asdict(row) for row in self.accuracy]

    def to_pandas(self) -> object:
        """A DataFrame, one row per node and evaluated round; raises ConfigError without pandas."""
        frame = cast(Callable[[Rows], object], from_extra("simulations.frames:frame"))
        return frame(self.to_records())

    def plot(self, path: str | Path | None = None) -> object:
        """A Figure of accuracy, consensus distance, bytes and graph, written to ``path`` if given.

        Raises ConfigError without matplotlib.
        """
        draw = cast(Callable[..., object], from_extra("simulations.plots:plot_result"))
        return draw(self, path)

    def save(self, folder: str | Path) -> None:
        """Write all of it to a folder, whole or not at all; a result that is there is replaced.

        Raises ConfigError for a folder that holds something else, StateError when the disk refuses.
        """
        special = {*TABLES, *ARRAYS}
        facts = {
            each.name: plain(getattr(self, each.name), each.name)
            for each in fields(self)
            if each.name not in special
        }
        tables = {name: [asdict(row) for row in getattr(self, name)] for name in TABLES}
        arrays: dict[str, NDArray[np.generic]] = {"models": self.models}
        if self.graph is not None:
            facts["is_directed"] = self.graph.is_directed()
            arrays["graph"] = _edges(self.graph)
        write_stored(Path(folder), Stored(facts, tables, arrays))

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """What ``save`` has written, exactly.

        Raises ConfigError for a folder without a result, StateError for one that is damaged.
        """
        place = Path(folder)
        try:
            return cls._from(read_stored(place))
        except (KeyError, TypeError, ValueError) as error:
            raise StateError(f"the result lacks something: {error!r}", where=str(place)) from error
        except P2PError as error:
            error.where = error.where or str(place)
            raise

    @classmethod
    def _from(cls, stored: Stored) -> Self:
        facts = {name: tuple(v) if isinstance(v, list) else v for name, v in stored.facts.items()}
        is_directed = facts.pop("is_directed", None)
        models = stored.arrays["models"]
        graph = None
        if "graph" in stored.arrays:
            graph = _graph(stored.arrays["graph"], len(models), is_directed=bool(is_directed))
        tables = {
            name: tuple(row(**values) for values in stored.tables[name]) for name, row in TABLES.items()
        }
        return cls(**facts, **tables, models=models, graph=graph)  # type: ignore[arg-type]


def _name(found: Plain) -> str:
    """The name in an option of an experiment."""
    if isinstance(found, dict):
        return str(found.get("name", "own graph"))
    return found if isinstance(found, str) else ""


def _edges(graph: nx.Graph) -> NDArray[np.int64]:
    """Edges [E, 2] by the places of the nodes."""
    place = {node: i for i, node in enumerate(graph)}
    return np.array([(place[u], place[v]) for u, v in graph.edges()], np.int64).reshape(-1, 2)


def _graph(edges: NDArray[np.generic], nodes: int, *, is_directed: bool) -> nx.Graph:
    graph = nx.DiGraph() if is_directed else nx.Graph()
    graph.add_nodes_from(range(nodes))
    graph.add_edges_from(edges.tolist())
    return graph
