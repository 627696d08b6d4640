"""The command line as a person or a script runs it: a process of its own, its output and its exit code."""

import os
import subprocess
import sys
from pathlib import Path

ENVIRONMENT = {name: text for name, text in os.environ.items() if not name.startswith("ECHO_NODE_")}
"""The process's variables without settings of a node on this machine."""


def echo_node(
    *arguments: str | Path, cwd: Path, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "echo_node", *map(str, arguments)],
        cwd=cwd,
        env=ENVIRONMENT | (env or {}),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
