"""Transports: how packets travel between two nodes; memory, TCP, later MQTT."""
