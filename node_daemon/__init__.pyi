from node_daemon.stored_model import load as load
