"""The torus: a grid whose borders are joined."""

from math import isqrt

import networkx as nx

from topologies import construction
from topologies.checks import SizeError, node_count, whole


def torus(rows: int, columns: int) -> nx.Graph:
    """A grid with joined borders; node (row, column) is row * columns + column; four neighbours.

    A side of two nodes has one neighbour where longer ones have two.
    """
    rows = whole("rows", rows, at_least=2)
    columns = whole("columns", columns, at_least=2)
    n = node_count(rows * columns)
    to_the_right = ((i, i - i % columns + (i + 1) % columns) for i in range(n))
    downwards = ((i, (i + columns) % n) for i in range(n))
    return construction.graph(n, [*to_the_right, *downwards])


def torus_of(n: int, rows: int = 0, columns: int = 0) -> nx.Graph:
    """A grid with joined borders, as near to square as n allows, or with ``rows`` or ``columns``."""
    rows = _side("rows", rows)
    columns = _side("columns", columns)
    n = node_count(n)
    if not rows:
        rows = n // columns if columns else _rows_nearest_to_square(n)
    columns = columns or (n // rows if rows else 0)
    if min(rows, columns) < 2 or rows * columns != n:
        raise SizeError(_misfit(n, rows, columns), fix=_nearest_sizes(n), stand_in_degree=4)
    return torus(rows, columns)


def _side(name: str, length: int) -> int:
    return whole(name, length, at_least=2) if length != 0 else 0


def _rows_nearest_to_square(n: int) -> int:
    """The largest divisor of n not above its root, or 0 when that is 1."""
    return next((rows for rows in range(isqrt(n), 1, -1) if n % rows == 0), 0)


def _misfit(n: int, rows: int, columns: int) -> str:
    if rows and columns:
        return f"a torus of {rows} rows and {columns} columns has {rows * columns} nodes, not {n}"
    return f"no torus has {n} nodes: {n} is not rows * columns with both at least 2"


def _nearest_sizes(n: int) -> str:
    below = next((size for size in range(n - 1, 3, -1) if _rows_nearest_to_square(size)), None)
    above = next(size for size in range(max(n + 1, 4), 2 * n + 5) if _rows_nearest_to_square(size))
    sizes = [size for size in (below, above) if size is not None]
    shapes = [f"{size} nodes ({(rows := _rows_nearest_to_square(size))} x {size // rows})" for size in sizes]
    return " or ".join(shapes)
