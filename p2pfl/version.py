"""The version of the distribution, read by the build and shown by ``p2pnode version``."""

__version__ = "0.1.0"
