"""Simulations: topology experiments, from five real processes to thousands of nodes."""
