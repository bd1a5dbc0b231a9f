"""Simulations: the same nodes in virtual time, as arrays, or as real processes."""

from simulations.experiment import Experiment
from simulations.result import Result

__all__ = ["Experiment", "Result"]
