"""The wire, sans-IO: what bytes mean, and how many of them are accepted."""
