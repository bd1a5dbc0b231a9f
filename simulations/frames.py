"""Rows as a pandas frame (needs the extra ``experiments``)."""

from collections.abc import Mapping, Sequence

import pandas as pd


def frame(records: Sequence[Mapping[str, object]]) -> pd.DataFrame:
    """One row per record."""
    return pd.DataFrame.from_records(list(records))
