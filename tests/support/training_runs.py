"""Training as processes of their own, to be waited for or killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from support.console import ENVIRONMENT

from training.loop.record import read_metrics

ALONE = (sys.executable,)
TWO_PROCESSES = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


def start(
    stage: str,
    recipe: Path,
    out: Path,
    overrides: Sequence[str] = (),
    *,
    launcher: Sequence[str] = ALONE,
    before: Callable[[], None] | None = None,
) -> "subprocess.Popen[str]":
    """Begin a run of one thread a process; *before* is called in it first."""
    changes = [part for override in overrides for part in ("--set", override)]
    return subprocess.Popen(
        [*launcher, "-m", "echo_node", "train", stage, "--recipe", recipe, "--out", out, *changes],
        env=ENVIRONMENT | {"OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=before,
    )


def finish(process: "subprocess.Popen[str]") -> None:
    """Wait for a run to succeed."""
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors


def kill_after(updates: int, process: "subprocess.Popen[str]", out: Path) -> None:
    """Kill a run, with all its processes, as soon as it has told of so many updates."""
    while process.poll() is None and len(read_metrics(out)) < updates:
        time.sleep(0.005)
    for pid in _family(process.pid):  # the launcher first: it cannot tell the others to end in peace
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.communicate()


def _family(pid: int) -> list[int]:
    """Return a process and all that descend from it; torchrun gives each of its own a session of its own."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it ended meanwhile
            number, _, rest = stat.read_text(encoding="utf-8", errors="replace").partition(" ")
            parents[int(number)] = int(rest.rpartition(")")[2].split()[1])
    family = [pid]
    for member in family:
        family += [child for child, parent in parents.items() if parent == member]
    return family
