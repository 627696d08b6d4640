"""A node as an operator runs it: a process tree of its own, started, watched and killed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from support import warm

from echo_node.dicom.scu.c_store import send_files
from echo_node.settings import NodeSettings, Peer, Settings
from echo_node.storage.open import Storage
from echo_node.wiring.storage import open_storage

_START_S = 120.0


def eventually(
    condition: Callable[[], bool], what: str, timeout_s: float = 120.0, every_s: float = 0.05
) -> None:
    """Wait until *condition* holds; fail saying *what* should have happened."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s:.0f} s: {what}"
        time.sleep(every_s)


class _Running(Protocol):
    """A process that runs, as Popen shows it."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def send_signal(self, sig: int) -> None: ...


class _Warm:
    """A process that was started warm, as Popen shows it."""

    def __init__(self, process: ForkServerProcess) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if (code := self._process.exitcode) is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
        return code

    def send_signal(self, sig: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, sig)


class ServedNode:
    """`echo-node serve` with a data folder that outlives it.

    Args:
        folder: the data folder's parent; logs lie beside it.
        arguments: further arguments of `serve`.
        port: where it listens; 0 takes any free port.
        wrapper: a command to run it under, such as strace.
        environment: further variables.
        is_warm: whether its processes are forks of one that has imported the libraries
            (support.warm), which saves ten processor seconds; otherwise they are new interpreters.
    """

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        port: int = 0,
        wrapper: Sequence[str] = (),
        environment: dict[str, str] | None = None,
        is_warm: bool = False,
    ) -> None:
        self.data_dir = folder / "data"
        self.log = folder / "node.log"
        self._is_warm = is_warm
        self._wrapper = wrapper
        self._arguments = ["serve", *arguments, "--data-dir", str(self.data_dir), "--port", str(port)]
        ours = {"ECHO_NODE_WEB__PORT": "0", "ECHO_NODE_MODEL__THREADS": "1"}
        self._environment = {**os.environ, **ours, **(environment or {})}
        self._process: _Running | None = None
        self._watched: Storage | None = None
        self._read_from = 0
        self.port = 0

    def start(self, *roles: str) -> Self:
        """Start it and wait until these roles are ready."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._read_from = self.log.stat().st_size if self.log.exists() else 0
        self._process = self._start_warm() if self._is_warm else self._start_fresh()
        for role in roles:
            eventually(partial(self._is_ready, role), f"{role} is ready: {self.log}", _START_S)
        if receiver := self._ready("receive"):
            self.port = int(receiver["port"])
        return self

    def _start_fresh(self) -> "subprocess.Popen[bytes]":
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [*self._wrapper, sys.executable, "-m", "echo_node", *self._arguments],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _start_warm(self) -> "_Warm":
        self.log.touch()
        streams = [Path(os.devnull), self.log, self.log]
        return _Warm(
            warm.start(
                "echo_node",
                self._arguments,
                cwd=Path.cwd(),
                env=self._environment,
                streams=streams,
                before=warm.in_a_session_that_forks,
            )
        )

    def send(self, *paths: Path, calling: str = "MODALITY") -> None:
        """Send it images as a modality does, and check that it stores them."""
        peer = Peer(ae_title="ECHO_NODE", host="127.0.0.1", port=self.port)
        assert all(result.stored for result in send_files(list(paths), peer, calling))

    def kill(self) -> None:
        """Kill every process of the tree at once, as a power cut would."""
        if self._process is not None:
            with suppress(ProcessLookupError):  # it was started warm a moment ago and has no group yet
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def stop(self) -> int:
        """Stop it as an operator would; return the exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        exit_code = self._process.wait(120)
        self._process = None
        return exit_code

    def wait(self) -> int:
        """Wait until it ends by itself; return the exit code."""
        assert self._process is not None
        exit_code = self._process.wait(_START_S)
        self._process = None
        return exit_code

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.kill()
        if self._watched is not None:
            self._watched.close()
            self._watched = None

    def storage(self) -> Storage:
        """Open its storage, to look at."""
        return open_storage(Settings(node=NodeSettings(data_dir=self.data_dir)))

    def studies(self) -> dict[str, int]:
        """Count its studies by state."""
        if self._watched is None:
            self._watched = self.storage()
        return self._watched.queries.overview().studies

    def events(self) -> list[dict[str, Any]]:
        """Return its log events since its last start."""
        text = self.log.read_bytes()[self._read_from :].decode(errors="replace")
        return [json.loads(line) for line in text.splitlines() if line.startswith("{") and line.endswith("}")]

    def _is_ready(self, role: str) -> bool:
        return self._ready(role) is not None

    def _ready(self, role: str) -> dict[str, Any] | None:
        assert self._process is not None
        assert self._process.poll() is None, f"the node ended: {self.log.read_text(errors='replace')[-3000:]}"
        ready = [each for each in self.events() if each["event"] == "role_ready" and each["role"] == role]
        return ready[0] if ready else None
