"""Aggregation rules: pure functions on a block of columns, [..., K, B] -> [..., B]."""
