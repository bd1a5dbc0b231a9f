"""Pictures of graphs (needs the extra ``experiments``)."""

from collections.abc import Sequence
from pathlib import Path

import networkx as nx
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch
from numpy.typing import NDArray

from p2pfl.errors import ConfigError

COLUMNS = 3  # pictures in a row
ARROWS_LIMIT = 1500  # edges; beyond it arrowheads cover the picture and are left out
LABELS_LIMIT = 64  # nodes
SPRINGS_LIMIT = 300  # nodes; beyond it the exact layout takes too long
EDGE_COLOUR = "#7a8699"
NODE_COLOUR = "#2f6fb3"


def draw(graph: nx.Graph, path: str | Path | None = None, *, title: str = "") -> Figure:
    """A picture of the graph, arrows for one-way edges; written to ``path`` (.png, .svg, .pdf) when given."""
    return draw_all([graph], path, titles=[title])


def draw_all(
    graphs: Sequence[nx.Graph], path: str | Path | None = None, *, titles: Sequence[str] = ()
) -> Figure:
    """Several graphs side by side, at most ``COLUMNS`` in a row."""
    if not graphs or not all(graphs):
        raise ConfigError("the graph has no nodes", fix="give at least one node")
    columns = min(len(graphs), COLUMNS)
    rows = -(-len(graphs) // columns)
    figure = Figure(figsize=(7 * columns, 7 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    for i, graph in enumerate(graphs):
        title = titles[i] if i < len(titles) else ""
        draw_into(figure.add_subplot(rows, columns, i + 1), graph, title or _summary(graph))
    if path is not None:
        save_figure(figure, Path(path))
    return figure


def draw_into(axes: Axes, graph: nx.Graph, title: str) -> None:
    """The graph as one of several pictures."""
    axes.set_axis_off()
    axes.set_aspect("equal")
    axes.set_title(title, fontsize=13)
    places = positions(graph)
    _draw_edges(axes, graph, places)
    _draw_nodes(axes, graph, places)
    axes.margins(0.08)


def positions(graph: nx.Graph) -> NDArray[np.float64]:
    """Places [N, 2] in the order of the nodes: a circle where the graph is one, else springs."""
    undirected = nx.Graph(graph)
    undirected.remove_edges_from(list(nx.selfloop_edges(undirected)))
    if _looks_the_same_from_every_node(graph):
        return _circle(len(graph))
    if nx.is_connected(undirected) and len(graph) <= SPRINGS_LIMIT:
        found = nx.kamada_kawai_layout(undirected)
    else:
        found = nx.spring_layout(undirected, seed=1, iterations=100)
    return np.array([found[node] for node in graph], dtype=np.float64)


def _circle(count: int) -> NDArray[np.float64]:
    """The first node at the top, then clockwise."""
    angle = np.pi / 2 - 2 * np.pi * np.arange(count) / count
    return np.column_stack([np.cos(angle), np.sin(angle)])


def _looks_the_same_from_every_node(graph: nx.Graph) -> bool:
    """Whether moving every node on by one place maps the graph onto itself (ring, full mesh, exponential)."""
    edges = _edges(graph)
    both_ways = edges if graph.is_directed() else [*edges, *((v, u) for u, v in edges)]
    count = len(graph)
    return {((u + 1) % count, (v + 1) % count) for u, v in both_ways} == set(both_ways)


def _edges(graph: nx.Graph) -> list[tuple[int, int]]:
    place = {node: i for i, node in enumerate(graph)}
    return [(place[u], place[v]) for u, v in graph.edges() if u != v]


def _draw_edges(axes: Axes, graph: nx.Graph, places: NDArray[np.float64]) -> None:
    edges = _edges(graph)
    if not graph.is_directed() or len(edges) > ARROWS_LIMIT:
        faint = max(0.08, min(0.8, 60 / max(len(edges), 1)))
        lines = [places[[u, v]] for u, v in edges]
        axes.add_collection(LineCollection(lines, colors=EDGE_COLOUR, alpha=faint, linewidths=1.2, zorder=1))
        return
    both_ways = set(edges)
    for u, v in edges:
        bend = 0.12 if (v, u) in both_ways else 0.0
        axes.add_patch(
            FancyArrowPatch(
                (places[u, 0], places[u, 1]),
                (places[v, 0], places[v, 1]),
                arrowstyle="-|>",
                mutation_scale=12,
                connectionstyle=f"arc3,rad={bend}",
                shrinkA=_node_size(graph) ** 0.5 / 2,
                shrinkB=_node_size(graph) ** 0.5 / 2,
                color=EDGE_COLOUR,
                alpha=max(0.25, min(0.9, 120 / len(edges))),
                linewidth=1.1,
                zorder=1,
            )
        )


def _draw_nodes(axes: Axes, graph: nx.Graph, places: NDArray[np.float64]) -> None:
    size = _node_size(graph)
    axes.scatter(
        places[:, 0], places[:, 1], s=size, c=NODE_COLOUR, edgecolors="white", linewidths=1.2, zorder=2
    )
    if len(graph) > LABELS_LIMIT:
        return
    is_short = max(len(str(node)) for node in graph) <= 3
    for node, (x, y) in zip(graph, places, strict=True):
        colour = "white" if is_short else "black"
        offset = 0.0 if is_short else size**0.5 / 2 + 1
        axes.annotate(
            str(node),
            (x, y),
            xytext=(0, offset),
            textcoords="offset points",
            ha="center",
            color=colour,
            fontsize=8,
            zorder=3,
            bbox=None
            if is_short
            else {"boxstyle": "square,pad=0.1", "fc": "white", "ec": "none", "alpha": 0.8},
            va="center" if is_short else "bottom",
        )


def _node_size(graph: nx.Graph) -> float:
    """Area in points^2: smaller in larger graphs."""
    return float(np.clip(12_000 / len(graph), 20, 420))


def _summary(graph: nx.Graph) -> str:
    kind = "one-way edges" if graph.is_directed() else "edges"
    return f"{graph.number_of_nodes()} nodes, {graph.number_of_edges()} {kind}"


def save_figure(figure: Figure, path: Path) -> None:
    """Write a picture; raises ConfigError for an ending that is none of a picture, or when it cannot be."""
    known = figure.canvas.get_supported_filetypes()
    if path.suffix.lstrip(".").lower() not in known:
        raise ConfigError(
            f"cannot draw to {path.name!r}", fix=f"name it with one of: .{', .'.join(sorted(known))}"
        )
    try:
        figure.savefig(path, dpi=150)
    except OSError as error:
        raise ConfigError(f"cannot write the picture: {error.strerror}", where=str(path)) from error
