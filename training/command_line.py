"""Command lines of the training programs: an error becomes a message and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable

import typer
from rich.console import Console

from echo_node.errors import ConfigError, EchoNodeError


def run_command(command: Callable[..., None]) -> None:
    """Run a command with the arguments of the process.

    A configuration error ends the process with exit code 2, another error of this program with 1.
    """
    try:
        typer.run(command)
    except EchoNodeError as error:
        Console(stderr=True, highlight=False).print(str(error), markup=False, soft_wrap=True)
        sys.exit(2 if isinstance(error, ConfigError) else 1)
