"""Receivers to compare: this node, DCMTK, Orthanc and pynetdicom.

Each runs as its users run it, in its own folder, on a free port of this machine.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from echo_node.errors import PermanentError

AE_TITLE, DCMTK_NAME = "RECEIVER", "storescp (DCMTK)"
_DCMTK = "/usr/bin/storescp"  # the full path, because pynetdicom installs a program of the same name
_SAMPLED_EVERY_S, _READY_S = 0.02, 60.0


Command = Callable[[Path, int], Sequence[str]]
"""Returns the command line of a receiver, given its storage folder and its port."""


@dataclass(frozen=True, slots=True)
class Receiver:
    """A program that receives images.

    Attributes:
        name: name of the receiver in the results.
        is_durable: whether an image is on the disk when it is acknowledged.
        command: function that returns the command line to start the receiver.
    """

    name: str
    is_durable: bool
    command: Command


def receivers() -> list[Receiver]:
    """Return all receivers that are installed on this machine."""
    installed = [
        Receiver("echo-node", is_durable=True, command=_echo_node(1)),
        Receiver("echo-node x 4", is_durable=True, command=_echo_node(4)),
        Receiver("storescp (pynetdicom)", is_durable=False, command=_pynetdicom),
    ]
    if Path(_DCMTK).exists():
        installed.append(Receiver(DCMTK_NAME, is_durable=False, command=_dcmtk))
    if orthanc := shutil.which("Orthanc", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"):
        installed.append(Receiver("Orthanc", is_durable=False, command=_orthanc(orthanc)))
    return installed


class Memory:
    """Proportional set size of a process and its descendants, sampled until `stop` is called."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._stop = threading.Event()
        self.idle_mb = _pss_mb(pid)
        self.peak_mb = self.idle_mb
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def stop(self) -> float:
        """Return the peak above the idle size, in MB."""
        self._stop.set()
        self._thread.join()
        return max(0.0, self.peak_mb - self.idle_mb)

    def _sample(self) -> None:
        while not self._stop.wait(_SAMPLED_EVERY_S):
            self.peak_mb = max(self.peak_mb, _pss_mb(self._pid))


@contextmanager
def running(receiver: Receiver, folder: Path) -> Iterator[tuple[int, int]]:
    """Run a receiver in an empty folder; yield its port and its process id.

    Raises:
        PermanentError: the receiver did not start.
    """
    port, stored = _free_port(), folder / "stored"
    stored.mkdir(parents=True)
    environment = {**os.environ, "TCP_NODELAY": "1"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - a command from our own list
            receiver.command(stored, port), env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        _wait_until_ready(process, port, folder / "log")
        yield port, process.pid
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _READY_S
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            time.sleep(1)  # for the rest of its start-up
            return
        time.sleep(0.05)
    raise PermanentError(f"the receiver did not start: {log.read_text(errors='replace')[-500:]}")


def _echo_node(processes: int) -> Command:
    def command(folder: Path, port: int) -> Sequence[str]:
        settings = {
            "node.ae_title": AE_TITLE,
            "node.port": port,
            "node.data_dir": folder,
            "intake.processes": processes,
            "intake.study_idle_s": 86_400,
            "intake.study_forced_s": 86_400,
            "intake.minimum_free_bytes": 0,
            "log.level": "warning",
        }
        flags = [flag for name, value in settings.items() for flag in ("--set", f"{name}={value}")]
        return [sys.executable, "-m", "echo_node", "serve", "--role", "receive", *flags]

    return command


def _dcmtk(folder: Path, port: int) -> Sequence[str]:
    return [_DCMTK, "--fork", "--aetitle", AE_TITLE, "--output-directory", str(folder), str(port)]


def _pynetdicom(folder: Path, port: int) -> Sequence[str]:
    return [sys.executable, "-m", "pynetdicom", "storescp", str(port), "-aet", AE_TITLE, "-od", str(folder)]


def _orthanc(program: str) -> Command:
    def command(folder: Path, port: int) -> Sequence[str]:
        path = folder / "orthanc.json"
        settings = {
            "StorageDirectory": str(folder / "storage"),
            "IndexDirectory": str(folder / "index"),
            "Plugins": [],
            "HttpPort": _free_port(),
            "DicomAet": AE_TITLE,
            "DicomPort": port,
            "DicomAlwaysAllowStore": True,
        }
        path.write_text(json.dumps(settings), encoding="utf-8")
        return [program, str(path)]

    return command


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _pss_mb(pid: int) -> float:
    total = 0.0
    with suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total = int(line.split()[1]) / 1024
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            total += _pss_mb(int(child))
    return total
