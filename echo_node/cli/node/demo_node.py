"""The private node of `echo-node demo`: it is started, watched and stopped here."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from echo_node.errors import EchoNodeError, PermanentError, TransientError
from echo_node.settings import Peer, Role, Settings

ADDRESS = "127.0.0.1"

_START_S, _STOP_S = 60.0, 90.0
_POLL_S = 0.05
_TERMINATED = 128 + signal.SIGTERM

_CONFIGURATION = """\
# Node of `echo-node demo`: reachable from this machine only, with a folder of its own.
[node]
bind_address = "{address}"
port = {port}
data_dir = "{data_dir}"

[intake]
study_idle_s = 2.0

[queue]
poll_s = 0.1

[model]
name = "{model}"

[web]
port = {web_port}

[log]
format = "json"
"""


class TerminationRequest:
    """Whether SIGTERM has arrived.

    A flag, not an exception: an exception raised by a signal handler is lost if it arrives in a
    destructor.
    """

    def __init__(self) -> None:
        self.has_arrived = False

    def note(self, _signal: int, _frame: FrameType | None) -> None:
        """Note the signal; this is the signal handler."""
        self.has_arrived = True


@dataclass(frozen=True, slots=True)
class DemoNode:
    """A running node.

    Attributes:
        process: parent process of the node.
        settings: settings of the node.
        config: its configuration file.
        log: its log file.
        termination: whether this command was asked to end.
    """

    process: subprocess.Popen[bytes]
    settings: Settings
    config: Path
    log: Path
    termination: TerminationRequest

    @property
    def peer(self) -> Peer:
        """The node as a peer to send to."""
        node = self.settings.node
        return Peer(ae_title=node.ae_title, host=ADDRESS, port=node.port)

    @property
    def is_running(self) -> bool:
        """Whether the node's process is still running."""
        return self.process.poll() is None

    def check(self) -> None:
        """Check that the demonstration can continue.

        Raises:
            PermanentError: the node ended, or a part of it cannot run.
            SystemExit: this command received SIGTERM; exit code 143.
        """
        if self.termination.has_arrived:
            sys.exit(_TERMINATED)
        for line in self.log.read_text(encoding="utf-8", errors="replace").splitlines():
            if '"cannot_run"' in line and line.endswith("}"):
                raise PermanentError(str(json.loads(line)["reason"]))
        if not self.is_running:
            raise PermanentError(
                f"the node ended with exit code {self.process.returncode}; "
                f"its log {self.log} ends:\n{self.tail()}"
            )

    def tail(self) -> str:
        """Return the last lines of the log."""
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:])

    def wait_until_it_answers(self) -> None:
        """Wait until the node answers C-ECHO.

        Raises:
            PermanentError: the node ended, or a part of it cannot run.
            TransientError: the node does not answer in time.
        """
        from echo_node.dicom.scu.c_store import Sender

        sender = Sender("DEMO_MODALITY", {"node": self.peer}, 5.0)
        deadline = time.monotonic() + _START_S
        while True:
            self.check()
            try:
                sender.echo("node")
            except EchoNodeError as error:
                if time.monotonic() > deadline:
                    raise TransientError(f"the node does not answer: {error}\n{self.tail()}") from error
                time.sleep(_POLL_S)
            else:
                return


@contextmanager
def running_node(folder: Path, model: str) -> Iterator[DemoNode]:
    """Run a node with its own configuration file in *folder*; stop it at the end of the block.

    Inside the block, SIGTERM only sets a flag, which `DemoNode.check` turns into the exit code. The
    node is always stopped first.
    """
    from echo_node.config import load
    from echo_node.processes import send_configuration

    port, web_port = _free_ports(2)
    config, log = folder / "node.toml", folder / "node.log"
    config.write_text(
        _CONFIGURATION.format(
            address=ADDRESS, port=port, web_port=web_port, data_dir=folder / "data", model=model
        ),
        encoding="utf-8",
    )
    settings = load(config).settings
    termination = TerminationRequest()
    before = signal.signal(signal.SIGTERM, termination.note)
    try:
        process = _start(log)
        try:
            send_configuration(process, settings.model_dump_json().encode())
            yield DemoNode(process, settings, config, log, termination)
        finally:
            _stop(process)
    finally:
        signal.signal(signal.SIGTERM, before)


def _start(log: Path) -> subprocess.Popen[bytes]:
    """Start the node in its own session: Ctrl-C reaches this command only, which stops the node.

    If this command is killed, its end of the pipe closes, and the node ends.
    """
    from echo_node.processes import python_module

    with log.open("wb") as log_file:
        return subprocess.Popen(  # noqa: S603 - our own program
            python_module("echo_node.node", Role.ALL.value),
            stdin=subprocess.PIPE,
            stdout=log_file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_ports(count: int) -> list[int]:
    """Return ports that are free now, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind((ADDRESS, 0))
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()
