"""Benchmarks, each beside the limit it is measured against: ``python -m simulations.benchmarks wire``."""
