"""A real HTTP server for S3 (moto's), in a separate process; it keeps objects in memory."""

import itertools
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from integration.orthanc import free_port

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "echo",
    "AWS_SECRET_ACCESS_KEY": "not-a-secret",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""Environment variables of its clients."""

_START_S = 120.0
_numbers = itertools.count()


class Server:
    """One that answers at `endpoint_url`."""

    def __init__(self, port: int, process: subprocess.Popen[bytes]) -> None:
        self.endpoint_url = f"http://127.0.0.1:{port}"
        self._process = process

    def new_bucket(self) -> str:
        """Make an empty bucket and return its name."""
        name = f"echo-{next(_numbers)}"
        self._ask("PUT", f"/{name}")
        return name

    def freeze(self) -> None:
        """Let it answer nothing any more, with its connections open."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it, and with it all that it keeps."""
        self._process.kill()
        self._process.wait()

    def answers(self) -> bool:
        """Return whether it does."""
        try:
            self._ask("GET", "/")
        except OSError:
            return False
        return True

    def _ask(self, method: str, path: str) -> None:
        request = urllib.request.Request(self.endpoint_url + path, method=method)  # noqa: S310
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            answer.read()


@contextmanager
def server() -> Iterator[Server]:
    """Run a server; while it runs, its credentials are in this process's environment."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="echo-s3-") as folder, pytest.MonkeyPatch.context() as patch:
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        log_file = Path(folder, "log")
        with log_file.open("wb") as log:
            command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
            process = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ)
        started = Server(port, process)
        try:
            deadline = time.monotonic() + _START_S
            while not started.answers():
                assert process.poll() is None, log_file.read_text()
                assert time.monotonic() < deadline, log_file.read_text()
                time.sleep(0.1)
            yield started
        finally:
            started.thaw()
            started.kill()
