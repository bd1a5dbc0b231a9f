"""Topologies: graphs, mixing weights and their measures."""
