"""Commands that run, configure and examine the node."""
