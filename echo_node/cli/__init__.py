"""Command line: `echo-node …`, one file for each group of commands.

A command parses its arguments, calls an action and prints the result. This package is the top layer
and may import everything below, but torch, pydicom and SQLAlchemy only inside a function that needs
them: `echo-node --help` and a receiving process stay light.
"""

from echo_node.cli.app import main

__all__ = ["main"]
