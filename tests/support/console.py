"""The command line as a person or a script runs it: a process, its output and exit code."""

import os
import subprocess
import sys
from pathlib import Path

from support import warm

ENVIRONMENT = {name: text for name, text in os.environ.items() if not name.startswith("ECHO_NODE_")}
"""The process's variables without settings of a node on this machine."""

_TIMEOUT_S = 120.0


def echo_node(
    *arguments: str | Path, cwd: Path, env: dict[str, str] | None = None, answers: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a command in a process with a warm start; *answers* is its standard input."""
    environment = ENVIRONMENT | (env or {})
    return warm.run("echo_node", arguments, cwd=cwd, env=environment, answers=answers, timeout_s=_TIMEOUT_S)


def fresh_echo_node(
    *arguments: str | Path, cwd: Path, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command in a fresh interpreter."""
    return subprocess.run(
        [sys.executable, "-m", "echo_node", *map(str, arguments)],
        cwd=cwd,
        env=ENVIRONMENT | (env or {}),
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
