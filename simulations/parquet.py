"""Rows as Parquet, exactly as they are: null and not-a-number stay apart (needs pyarrow)."""

from collections.abc import Mapping, Sequence
from io import BytesIO

import pyarrow as pa
import pyarrow.parquet as pq

from p2pfl.errors import StateError


def to_parquet(records: Sequence[Mapping[str, object]]) -> bytes:
    """The content of a file."""
    buffer = BytesIO()
    pq.write_table(pa.Table.from_pylist(list(records)), buffer)
    return buffer.getvalue()


def from_parquet(content: bytes) -> list[dict[str, object]]:
    """The rows in a file; raises StateError."""
    try:
        rows: list[dict[str, object]] = pq.read_table(BytesIO(content)).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise StateError(f"not Parquet: {error}") from error
    return rows
