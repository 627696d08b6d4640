"""Processes with a warm start: forks of a server that has imported the heavy libraries already.

A fresh interpreter spends five processor seconds on importing PyTorch and Transformers before a
command begins. A fork of the server begins at once. It is still a separate process, with its own
folder, variables, output and exit code, and it runs the module as `python -m` would.
"""

import atexit
import gc
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

from echo_node import processes

_MOST_FILES = 1024
_IMPORTED = (
    "echo_node.cli.app",
    "echo_node.dicom.documents.encoders",
    "echo_node.dicom.scu.destinations",
    "echo_node.inference.generator",
    "echo_node.storage.operations.queries",
    "echo_node.node",
    "echo_node.wiring.destinations",
    "echo_node.wiring.images",
    "matplotlib.backends.backend_svg",
    "matplotlib.figure",
    "pynetdicom.sop_class",
    "training.loop.run",
)


def _context() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(_IMPORTED))
    return context


def start(
    module: str,
    arguments: Sequence[str | Path],
    *,
    cwd: Path,
    env: Mapping[str, str],
    streams: Sequence[Path],
    before: Callable[[], None] | None = None,
) -> ForkServerProcess:
    """Start `python -m module arguments`; standard input, output and error are these three files.

    The process calls *before* first, if it is given.
    """
    process = _context().Process(
        target=_run, args=(module, list(map(str, arguments)), cwd, dict(env), tuple(streams), before)
    )
    process.start()
    return process


def run(
    module: str,
    arguments: Sequence[str | Path],
    *,
    cwd: Path,
    env: Mapping[str, str],
    answers: str = "",
    timeout_s: float = 120.0,
) -> subprocess.CompletedProcess[str]:
    """Run `python -m module arguments`, as subprocess.run would; *answers* is its standard input.

    Raises:
        TimeoutExpired: it took longer than *timeout_s*, and was killed.
    """
    with tempfile.TemporaryDirectory() as folder:
        stdin, stdout, stderr = streams = [Path(folder, name) for name in ("stdin", "stdout", "stderr")]
        stdin.write_text(answers, encoding="utf-8")
        process = start(module, arguments, cwd=cwd, env=env, streams=streams)
        process.join(timeout_s)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired([module, *arguments], timeout_s, stdout.read_bytes())
        code = process.exitcode
        process.close()
        return subprocess.CompletedProcess(
            [module, *arguments], code, stdout.read_text("utf-8"), stderr.read_text("utf-8")
        )


def _run(
    module: str,
    arguments: Sequence[str],
    cwd: Path,
    env: dict[str, str],
    streams: tuple[Path, ...],
    before: Callable[[], None] | None,
) -> None:
    """Become the command: this runs in the forked process."""
    gc.freeze()  # what the server imported need not be searched for garbage
    for stream, path in enumerate(streams):
        file = os.open(path, os.O_RDONLY if stream == 0 else os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(file, stream)
        os.close(file)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - for as long as the process lives
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    sys.path[0] = str(cwd)
    sys.argv = [module, *arguments]
    if before is not None:
        before()
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        atexit._run_exitfuncs()


def in_a_session_that_forks() -> None:
    """Give a node a new session, and let it fork its roles instead of starting interpreters.

    Call it in a process that is started warm, before its module.
    """
    os.setsid()
    vars(processes)["subprocess"] = _Subprocess()


class _Subprocess:
    """Replacement of the module subprocess, as far as echo_node.processes uses it."""

    PIPE = subprocess.PIPE
    TimeoutExpired = subprocess.TimeoutExpired

    @staticmethod
    def Popen(command: Sequence[str], stdin: int) -> "_Fork":
        assert (list(command[:2]), stdin) == ([sys.executable, "-m"], subprocess.PIPE)
        return _Fork(command[2], command[3:])


class _Fork:
    """A process that runs a module with arguments, like Popen; its standard input is a pipe."""

    def __init__(self, module: str, arguments: Sequence[str]) -> None:
        self.returncode: int | None = None
        read, write = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            os.dup2(read, 0)
            os.closerange(3, _MOST_FILES)
            sys.argv = [module, *arguments]
            del sys.modules[module]
            os._exit(_exit_code_of(module))
        os.close(read)
        self.stdin = os.fdopen(write, "wb")

    def poll(self) -> int | None:
        """Return the exit code; None while it runs."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.returncode = os.waitstatus_to_exitcode(status) if pid else None
        return self.returncode

    def wait(self, timeout: float = 3600.0) -> int:
        """Wait for its end.

        Raises:
            TimeoutExpired: it still runs.
        """
        deadline = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(str(self.pid), timeout)
            time.sleep(0.02)
        return code

    def terminate(self) -> None:
        """Send SIGTERM."""
        os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        os.kill(self.pid, signal.SIGKILL)


def _exit_code_of(module: str) -> int:
    """Run a module as `python -m` would; return the exit code of the process."""
    code = 0
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - an interpreter prints it and ends with 1
        traceback.print_exc()
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return code
