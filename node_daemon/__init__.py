"""The daemon, its configuration, its control socket and its command line."""
