"""The command line: `echo-node …`, one file for each group of commands.

It is at the top of the house and may call everything below, but imports torch, pydicom and SQLAlchemy only
inside the command that needs them: `echo-node --help` and a receiving process stay light.
"""

from echo_node.cli.app import main

__all__ = ["main"]
