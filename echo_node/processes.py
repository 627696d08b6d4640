"""Processes: a parent that keeps one child a role alive, children that end with their parent.

A child receives the configuration over its standard input, so that no password is in an argument,
a variable or a file. The pipe stays open. When it closes, the parent has ended, and the child
stops.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

log = structlog.get_logger()

EXIT_CONFIGURATION = 2
"""Exit code of a child with an invalid configuration."""

_FIRST_PAUSE_S, _LONGEST_PAUSE_S, _STEADY_S = 1.0, 60.0, 60.0
_TICK_S = 0.1


def stop_on_signals(stop: threading.Event, signals: Iterable[signal.Signals]) -> None:
    """Set *stop* when one of the *signals* arrives. Call it before threads start.

    A thread waits for the signals, because a handler that sets an event can find its lock held.
    """
    awaited = set(signals)
    signal.pthread_sigmask(signal.SIG_BLOCK, awaited)

    def wait() -> None:
        received = signal.sigwait(awaited)
        log.info("stopping", signal=signal.Signals(received).name)
        stop.set()

    threading.Thread(target=wait, name="signals", daemon=True).start()


def stop_with_parent(pipe: int, stop: threading.Event, grace_s: float) -> None:
    """Set *stop* when the parent's end of *pipe* closes; exit *grace_s* seconds later."""

    def watch() -> None:
        while os.read(pipe, 1024):
            pass
        if not stop.is_set():
            log.warning("parent_lost")
        stop.set()
        time.sleep(grace_s)
        os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()


class ProcessIdentity:
    """Name in the queues that distinguishes this process from its dead predecessors.

    The first process of a role on a data folder locks a file there. The holder of the lock knows
    that its predecessors are dead, and need not wait until their leases expire.

    Args:
        folder: folder of the lock files.
        role: role of the process.

    Attributes:
        is_only: whether this process holds the lock.
        family: prefix of the names of all processes of the role on this folder.
        siblings: prefix of the names of the processes that the same parent started.
        holder: name of this process.
    """

    def __init__(self, folder: Path, role: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = (folder / f"{role}.lock").open("a+")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.is_only, place = False, secrets.token_hex(8)
        else:
            self._lock.seek(0)
            self.is_only, place = True, self._lock.read().strip() or self._named()
        self.family = f"{place}/{role}/"
        self.siblings = f"{self.family}{os.getppid()}-"
        self.holder = f"{self.siblings}{os.getpid()}-{secrets.token_hex(4)}"

    def _named(self) -> str:
        place = secrets.token_hex(8)
        self._lock.write(place)
        self._lock.flush()
        return place

    def close(self) -> None:
        """Release the lock for a successor."""
        self._lock.close()


@dataclass(slots=True)
class Child:
    """One supervised process.

    Attributes:
        role: name in the logs.
        command: program and arguments.
        essential: whether the node stops if this process cannot start as configured.
    """

    role: str
    command: Sequence[str]
    essential: bool = False
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    started: float = field(default=0.0, init=False)
    restart_at: float = field(default=0.0, init=False)
    failures: int = field(default=0, init=False)
    starts: int = field(default=0, init=False)


class Supervisor:
    """Starts children, restarts those that die, and stops them in order.

    Args:
        children: child processes, in the order in which they are stopped.
        configuration: line that each child receives on its standard input.
        grace_s: time that each child has to stop, in seconds.
        monotonic: clock that never goes back, in seconds.
    """

    def __init__(
        self,
        children: Sequence[Child],
        configuration: bytes,
        *,
        grace_s: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._children = children
        self._configuration = configuration
        self._grace_s = grace_s
        self._monotonic = monotonic

    def run(self, stop: threading.Event) -> int:
        """Keep the children alive until *stop* is set; return the exit code."""
        exit_code = 0
        try:
            while not stop.is_set():
                if any(self._look_after(child) for child in self._children):
                    exit_code = EXIT_CONFIGURATION
                    break
                stop.wait(_TICK_S)
        finally:
            for child in self._children:
                self._end(child)
        return exit_code

    def _look_after(self, child: Child) -> bool:
        """Start or restart the child if necessary. Return whether the node must stop."""
        now = self._monotonic()
        if child.process is not None:
            exit_code = child.process.poll()
            if exit_code is None:
                return False
            self._close_pipe(child)
            child.process = None
            if child.essential and exit_code == EXIT_CONFIGURATION and child.starts == 1:
                return True
            child.failures = 1 if now - child.started > _STEADY_S else child.failures + 1
            pause_s = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** (child.failures - 1))
            child.restart_at = now + pause_s
            log.error("role_ended", role=child.role, exit_code=exit_code, delay_s=pause_s)
        if now >= child.restart_at:
            self._start(child, now)
        return False

    def _start(self, child: Child, now: float) -> None:
        child.process = subprocess.Popen(child.command, stdin=subprocess.PIPE)  # noqa: S603 - our own program
        child.started = now
        child.starts += 1
        if not send_configuration(child.process, self._configuration):
            log.warning("role_ended_early", role=child.role)

    def _end(self, child: Child) -> None:
        process = child.process
        if process is None:
            return
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(self._grace_s)
            except subprocess.TimeoutExpired:
                log.warning("role_killed", role=child.role, seconds=self._grace_s)
                process.kill()
                process.wait()
        self._close_pipe(child)

    @staticmethod
    def _close_pipe(child: Child) -> None:
        if child.process is not None and child.process.stdin is not None:
            try:
                child.process.stdin.close()
            except BrokenPipeError:
                return


def send_configuration(process: subprocess.Popen[bytes], configuration: bytes) -> bool:
    """Write the line that `read_configuration` reads. Return false if the process has ended."""
    if process.stdin is None:
        raise ValueError("the process was started without a pipe")
    try:
        process.stdin.write(configuration + b"\n")
        process.stdin.flush()
    except BrokenPipeError:
        return False
    return True


def read_configuration(pipe: int) -> bytes:
    """Return the line that the parent sent over the pipe; empty if the parent has ended."""
    received = b""
    while not received.endswith(b"\n"):
        chunk = os.read(pipe, 65536)
        if not chunk:
            return b""
        received += chunk
    return received.strip()


def python_module(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module with this interpreter."""
    return [sys.executable, "-m", module, *arguments]
