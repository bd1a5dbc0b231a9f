"""Pictures of runs (needs the extra ``experiments``): accuracy, consensus distance, bytes, the graph."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from p2pfl.errors import ConfigError
from simulations.curves import AccuracyCurve, RunCurves, accuracy_curve
from simulations.result import Result
from simulations.result_rows import RoundFigures
from topologies.drawing import draw_into, save_figure

GRAPH_LIMIT = 500  # nodes; beyond it a picture shows nothing, and takes minutes
BYTES_PER_UNIT = 1e6
MANY = 12  # runs; beyond it a legend covers the picture


def plot_result(result: Result, path: str | Path | None = None) -> Figure:
    """Accuracy with its spread over the nodes, consensus distance and bytes by round, and the graph."""
    figure = _figure(2, 2)
    accuracy, distance, sent, graph = (figure.add_subplot(2, 2, place) for place in (1, 2, 3, 4))
    figure.suptitle(f"{result.title}, seed {result.seed}")
    curve = accuracy_curve(result.accuracy or result.final)
    _draw_accuracy(accuracy, curve, name="mean of the nodes", has_spread=True)
    accuracy.legend(loc="lower right")
    _draw_distance(distance, result.by_round or _last(result), name="")
    _draw_bytes(sent, result.by_round or _last(result))
    _draw_graph(graph, result)
    return _written(figure, path)


def plot_runs(runs: Sequence[RunCurves], path: str | Path | None = None) -> Figure:
    """Several runs: accuracy and consensus distance by round, and accuracy by what was sent for it."""
    if not runs:
        raise ConfigError("there are no runs to draw")
    figure = _figure(1, 3)
    accuracy, distance, cost = (figure.add_subplot(1, 3, place) for place in (1, 2, 3))
    for run in runs:
        _draw_accuracy(accuracy, run.accuracy, name=run.name, has_spread=False)
        _draw_distance(distance, run.by_round, name=run.name)
        _draw_cost(cost, run)
    if len(runs) <= MANY:
        accuracy.legend(loc="lower right", fontsize=8)
    return _written(figure, path)


def _figure(rows: int, columns: int) -> Figure:
    figure = Figure(figsize=(6 * columns, 4.5 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _written(figure: Figure, path: str | Path | None) -> Figure:
    if path is not None:
        save_figure(figure, Path(path))
    return figure


def _last(result: Result) -> tuple[RoundFigures, ...]:
    """Where nothing was measured on the way, the end."""
    end = RoundFigures(result.rounds, result.virtual_seconds, result.consensus_distance, result.bytes_sent)
    return (end,)


def _draw_accuracy(axes: Axes, curve: AccuracyCurve, *, name: str, has_spread: bool) -> None:
    (line,) = axes.plot(curve.rounds, curve.mean, marker="." if len(curve.rounds) < MANY else "", label=name)
    if has_spread:
        axes.fill_between(curve.rounds, *curve.inner, alpha=0.3, color=line.get_color(), label="four of five")
        axes.fill_between(curve.rounds, *curve.ends, alpha=0.12, color=line.get_color(), label="all")
    axes.set(xlabel="round", ylabel="accuracy", title="accuracy")


def _draw_distance(axes: Axes, rows: Sequence[RoundFigures], *, name: str) -> None:
    points = [(row.round, row.consensus_distance) for row in rows if row.consensus_distance > 0]
    axes.plot(*_columns(points), marker="." if len(points) < MANY else "", label=name)
    if points:
        axes.set_yscale("log")
    axes.set(xlabel="round", ylabel="distance from the mean", title="consensus distance")


def _draw_bytes(axes: Axes, rows: Sequence[RoundFigures]) -> None:
    points = [(row.round, row.bytes_sent / BYTES_PER_UNIT) for row in rows if row.bytes_sent is not None]
    axes.plot(*_columns(points), marker="." if len(points) < MANY else "")
    axes.set(xlabel="round", ylabel="MB, all nodes together", title="sent")


def _draw_cost(axes: Axes, run: RunCurves) -> None:
    sent = {row.round: row.bytes_sent for row in run.by_round}
    pairs = zip(run.accuracy.rounds.tolist(), run.accuracy.mean.tolist(), strict=True)
    points = [(count / BYTES_PER_UNIT, mean) for done, mean in pairs if (count := sent.get(done)) is not None]
    axes.plot(*_columns(points), marker="." if len(points) < MANY else "", label=run.name)
    axes.set(xlabel="MB sent, all nodes together", ylabel="accuracy", title="accuracy by cost")


def _draw_graph(axes: Axes, result: Result) -> None:
    graph = result.graph
    if graph is None or len(graph) > GRAPH_LIMIT:
        axes.set_axis_off()
        edges = "" if graph is None else f", {graph.number_of_edges()} edges"
        axes.text(0.5, 0.5, f"{result.nodes} nodes{edges}", ha="center", va="center")
        return
    draw_into(axes, graph, f"{len(graph)} nodes, {graph.number_of_edges()} edges")


def _columns(points: Sequence[tuple[float, float]]) -> tuple[np.ndarray, np.ndarray]:
    """x and y."""
    table = np.array(points, np.float64).reshape(-1, 2)
    return table[:, 0], table[:, 1]
