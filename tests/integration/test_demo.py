"""`echo-node demo` drafts a study, continues to serve, and leaves no process running at its end."""

import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from support.console import ENVIRONMENT, echo_node

pytestmark = pytest.mark.slow


@contextmanager
def inherited_sigint(*, is_ignored: bool) -> Iterator[None]:
    """Let processes started meanwhile ignore SIGINT, or not, however the tests were started.

    A shell lets the processes that it starts in the background (`nohup … &`) ignore SIGINT.
    """
    handler = signal.SIG_IGN if is_ignored else signal.default_int_handler
    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def start(folder: Path, *flags: str, ignores_sigint: bool = False) -> Iterator[subprocess.Popen[str]]:
    """Run the demo; it is killed if the test fails meanwhile."""
    with inherited_sigint(is_ignored=ignores_sigint):
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "echo_node", "demo", "--data-dir", folder / "demo", *flags],
            cwd=folder,
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    with process as demo:
        try:
            yield demo
        except BaseException:
            demo.kill()
            raise


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def members(session: int) -> list[int]:
    """Return the processes of a session that still run."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it ended meanwhile
            pid, _, rest = stat.read_text(encoding="utf-8", errors="replace").partition(" ")
            state, _parent, _group, its_session, *_ = rest.rpartition(")")[2].split()
            if int(its_session) == session and state != "Z":
                found.append(int(pid))
    return found


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_shows_the_draft_serves_on_and_stops_when_told(tmp_path: Path, how: signal.Signals) -> None:
    with start(tmp_path, ignores_sigint=how is signal.SIGTERM) as demo:
        assert demo.stdout is not None
        lines = []
        for line in demo.stdout:  # until the last line before it serves, or until it fails
            lines.append(line)
            if line.strip().startswith("http://"):
                break
        shown = "".join(lines)
        port = int(re.search(r"ECHO_NODE on 127\.0\.0\.1:(\d+)", shown)[1])  # type: ignore[index]
        # A waiting worker claims a study at once: the state "queued" may end before it is seen.
        expected = ("receiving", "drafted", "Findings", "UNVERIFIED")
        assert [word for word in expected if word not in shown] == []
        config = tmp_path / "demo" / "node.toml"
        status = json.loads(echo_node("status", "--json", "--config", config, cwd=tmp_path).stdout)
        assert status["studies"]["drafted"] == 1
        assert is_open(port)
        demo.send_signal(how)
        rest = demo.stdout.read()
    assert demo.returncode == {signal.SIGINT: 0, signal.SIGTERM: 143}[how], rest
    assert not is_open(port)
    assert config.exists()


def test_the_node_does_not_outlive_a_demo_that_is_killed(tmp_path: Path) -> None:
    with start(tmp_path, "--model", "not-there") as demo:
        assert demo.stdout is not None
        port = int(re.search(r":(\d+)", demo.stdout.readline())[1])  # type: ignore[index]
        demo.send_signal(signal.SIGSTOP)  # so that it does not end because the model is missing
        wait_until(lambda: is_open(port))
        children = Path(f"/proc/{demo.pid}/task/{demo.pid}/children").read_text(encoding="ascii").split()
        session = int(children[0])
        assert len(members(session)) > 2
        demo.kill()
        wait_until(lambda: not is_open(port))
    wait_until(lambda: not members(session))
    assert "parent_lost" in (tmp_path / "demo" / "node.log").read_text(encoding="utf-8")


@pytest.mark.long
def test_once_ends_after_the_draft_and_the_sr_is_there(tmp_path: Path) -> None:
    with start(tmp_path, "--once") as demo:
        shown, _ = demo.communicate(timeout=300)
    assert demo.returncode == 0, shown
    sr = re.search(r"Structured Report\s+(\S+)", shown)
    assert sr is not None
    assert Path(sr[1]).read_bytes()[128:132] == b"DICM"


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "mine.txt").write_text("mine", encoding="utf-8")
    with start(tmp_path) as demo:
        shown, _ = demo.communicate(timeout=60)
    assert (demo.returncode, "is not empty" in shown) == (1, True)


@pytest.mark.long
def test_a_model_that_cannot_be_loaded_ends_it_with_the_reason(tmp_path: Path) -> None:
    with start(tmp_path, "--once", "--model", "not-there") as demo:
        shown, _ = demo.communicate(timeout=300)
    assert demo.returncode == 1
    assert "not-there" in shown
