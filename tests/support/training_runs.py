"""Training runs as separate processes, which a test waits for or kills."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import Enum
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from support import made_once, warm
from support.console import ENVIRONMENT

from training.loop.record import read_metrics

_LIMIT_S = 600.0
_ONE_THREAD = ENVIRONMENT | {"OMP_NUM_THREADS": "1"}


class Launcher(Enum):
    """Ways to start a run.

    ALONE and PAIR start warm: one process, or two that join each other by the variables that
    torchrun sets. FRESH and TORCHRUN start fresh interpreters, as an operator does.
    """

    ALONE = "one process, warm"
    PAIR = "two processes, warm"
    FRESH = "one process"
    TORCHRUN = "two processes under torchrun"


class TrainingRun:
    """A started run: its processes, and what they write to standard error."""

    def __init__(
        self, launcher: Launcher, arguments: Sequence[str | Path], before: Callable[[], None] | None
    ) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._errors = Path(self._folder.name, "stderr")
        self._process: subprocess.Popen[bytes] | None = None
        self._forks: list[ForkServerProcess] = []
        if launcher in (Launcher.ALONE, Launcher.PAIR):
            for environment in _environments(2 if launcher is Launcher.PAIR else 1):
                self._forks.append(self._fork(arguments, environment, before))
            return
        command: list[str | Path] = [sys.executable]
        if launcher is Launcher.TORCHRUN:
            command += ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        with self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                [*command, "-m", "echo_node", *arguments],
                env=_ONE_THREAD,
                stderr=errors,
                start_new_session=True,
                preexec_fn=before,
            )

    def _fork(
        self, arguments: Sequence[str | Path], environment: dict[str, str], before: Callable[[], None] | None
    ) -> ForkServerProcess:
        number = len(self._forks)
        streams = [Path(os.devnull), Path(self._folder.name, f"stdout{number}"), self._errors]
        if number:
            streams[2] = Path(self._folder.name, f"stderr{number}")
        return warm.start(
            "echo_node",
            arguments,
            cwd=Path.cwd(),
            env=_ONE_THREAD | environment,
            streams=streams,
            before=before,
        )

    @property
    def has_ended(self) -> bool:
        """Whether the run, or one of its processes, has ended."""
        if self._process is not None:
            return self._process.poll() is not None
        return any(fork.exitcode is not None for fork in self._forks)

    def wait(self) -> tuple[int, str]:
        """Wait for the end; return the exit code and the text on standard error."""
        if self._process is not None:
            codes: list[int | None] = [self._process.wait(_LIMIT_S)]
        else:
            for fork in self._forks:
                fork.join(_LIMIT_S)
            codes = [fork.exitcode for fork in self._forks]
        errors = "".join(path.read_text("utf-8") for path in sorted(Path(self._folder.name).glob("stderr*")))
        assert None not in codes, f"the run did not end within {_LIMIT_S:.0f} s: {errors}"
        self._folder.cleanup()
        return next((code for code in codes if code), 0), errors

    def kill(self) -> None:
        """Kill every process of the run."""
        first = [fork.pid for fork in self._forks] if self._process is None else [self._process.pid]
        for pid in first:
            for each in _family(pid or 0):  # the launcher first: it cannot tell the others to end in peace
                with suppress(ProcessLookupError):
                    os.kill(each, signal.SIGKILL)
        self.wait()


def start(
    stage: str,
    recipe: Path,
    out: Path,
    overrides: Sequence[str] = (),
    *,
    launcher: Launcher = Launcher.ALONE,
    before: Callable[[], None] | None = None,
) -> TrainingRun:
    """Start a run of one thread a process; each process calls *before* first."""
    kept = (
        f"hardware.kept_in={made_once.folder('training')}"  # phantoms are rendered once in a run of the tests
    )
    changes = [part for override in (kept, *overrides) for part in ("--set", override)]
    return TrainingRun(launcher, ["train", stage, "--recipe", recipe, "--out", out, *changes], before)


def finish(run: TrainingRun) -> None:
    """Wait for a run to succeed."""
    code, errors = run.wait()
    assert code == 0, errors


def kill_after(updates: int, run: TrainingRun, out: Path) -> None:
    """Kill a run, with all its processes, as soon as it has recorded this many updates."""
    while not run.has_ended and len(read_metrics(out)) < updates:
        time.sleep(0.005)
    run.kill()


def _environments(processes: int) -> list[dict[str, str]]:
    """Return the variables by which processes find each other, as torchrun sets them."""
    if processes == 1:
        return [{}]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    shared |= {"WORLD_SIZE": str(processes), "LOCAL_WORLD_SIZE": str(processes)}
    return [shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(processes)]


def _family(pid: int) -> list[int]:
    """Return a process and its descendants; torchrun starts each in a separate session."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it ended meanwhile
            number, _, rest = stat.read_text(encoding="utf-8", errors="replace").partition(" ")
            parents[int(number)] = int(rest.rpartition(")")[2].split()[1])
    family = [pid]
    for member in family:
        family += [child for child, parent in parents.items() if parent == member]
    return family
