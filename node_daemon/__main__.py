"""``python -m node_daemon``: the same as ``p2pnode``."""

from node_daemon.cli import main

main()
