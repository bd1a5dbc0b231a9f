"""One file per published figure, or claim of ours."""
