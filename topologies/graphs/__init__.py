"""One file per family of graphs."""
