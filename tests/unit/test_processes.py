import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from echo_node.processes import EXIT_CONFIGURATION, Child, ProcessIdentity, Supervisor, read_configuration


def _eventually(condition: Callable[[], bool], what: str, timeout_s: float = 20) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def _python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def _supervise(children: list[Child], stop: threading.Event, grace_s: float = 5) -> threading.Thread:
    supervisor = Supervisor(children, b'{"a": 1}', grace_s=grace_s)
    thread = threading.Thread(target=supervisor.run, args=(stop,))
    thread.start()
    return thread


def test_children_get_the_configuration_and_are_stopped_in_order(tmp_path: Path) -> None:
    log = tmp_path / "log"
    code = (
        "import sys, signal, pathlib\n"
        "name, log = sys.argv[1], open(sys.argv[2], 'a', buffering=1)\n"
        "def end(*_): log.write(f'{name} ends\\n'); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "log.write(f'{name} got {sys.stdin.readline()}')\n"
        "signal.pause()\n"
    )
    children = [Child(name, [*_python(code), name, str(log)]) for name in ("first", "second")]
    stop = threading.Event()
    thread = _supervise(children, stop)
    _eventually(lambda: log.exists() and log.read_text().count("got") == 2, "both children start")
    stop.set()
    thread.join(20)
    lines = log.read_text().splitlines()
    assert sorted(lines[:2]) == ['first got {"a": 1}', 'second got {"a": 1}']
    assert lines[2:] == ["first ends", "second ends"]


def test_a_child_that_dies_is_started_again(tmp_path: Path) -> None:
    code = "import os, sys; open(sys.argv[1], 'a').write('x'); os.kill(os.getpid(), 9)"
    log = tmp_path / "log"
    stop = threading.Event()
    thread = _supervise([Child("mortal", [*_python(code), str(log)])], stop)
    try:
        _eventually(lambda: log.exists() and len(log.read_text()) >= 2, "the child is started again")
    finally:
        stop.set()
        thread.join(20)


def test_a_child_that_dies_again_and_again_is_started_ever_more_rarely() -> None:
    now = 0.0
    child = Child("mortal", _python("raise SystemExit(1)"))
    supervisor = Supervisor([child], b"", grace_s=1, monotonic=lambda: now)
    pauses = []
    for _ in range(8):
        supervisor._look_after(child)
        process = child.process
        assert process is not None
        process.wait(20)
        supervisor._look_after(child)
        pauses.append(child.restart_at - now)
        now = child.restart_at
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]


def test_an_essential_child_that_is_wrongly_configured_ends_everything() -> None:
    children = [
        Child("receive", _python(f"raise SystemExit({EXIT_CONFIGURATION})"), essential=True),
        Child("other", _python("import signal; signal.pause()")),
    ]
    assert Supervisor(children, b"", grace_s=5).run(threading.Event()) == EXIT_CONFIGURATION
    assert children[1].process is not None
    assert children[1].process.poll() == -signal.SIGTERM


def test_a_child_that_does_not_stop_is_killed(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    code = (
        "import signal, sys; signal.signal(15, signal.SIG_IGN); open(sys.argv[1], 'w').close();"
        "[signal.pause() for _ in range(9)]"
    )
    child = Child("deaf", [*_python(code), str(mark)])
    stop = threading.Event()
    thread = _supervise([child], stop, grace_s=0.2)
    _eventually(mark.exists, "the child starts")
    stop.set()
    thread.join(20)
    assert child.process is not None
    assert child.process.poll() == -signal.SIGKILL


def test_a_child_stops_when_its_parent_is_killed() -> None:
    child = (
        "import sys, threading\n"
        "from echo_node.processes import stop_with_parent\n"
        "stop = threading.Event(); stop_with_parent(0, stop, 30); print('ready', flush=True)\n"
        "stop.wait(); print('stopped', flush=True)\n"
    )
    parent = (
        "import subprocess, sys, signal\n"
        "subprocess.Popen([sys.executable, '-c', sys.argv[1]], stdin=subprocess.PIPE)\n"
        "signal.pause()\n"
    )
    with subprocess.Popen([*_python(parent), child], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.kill()
        # The child inherited the pipe: it ends only when the child has ended too.
        rest = process.stdout.read()
    assert b"stopped" in rest


def test_a_signal_sets_the_event() -> None:
    code = (
        "import signal, threading\n"
        "from echo_node.processes import stop_on_signals\n"
        "stop = threading.Event(); stop_on_signals(stop, (signal.SIGTERM, signal.SIGINT))\n"
        "print('ready', flush=True); stop.wait(); print('stopped')\n"
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        with subprocess.Popen(_python(code), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            process.send_signal(number)
            assert process.stdout.read().endswith(b"stopped\n")
        assert process.returncode == 0


def test_the_configuration_is_read_whole_and_empty_if_the_parent_is_gone() -> None:
    reader, writer = os.pipe()
    os.write(writer, b'{"half": ')
    os.write(writer, b"true}\n")
    assert read_configuration(reader) == b'{"half": true}'
    os.close(writer)
    assert read_configuration(reader) == b""
    os.close(reader)


def test_the_first_of_a_role_knows_that_its_predecessors_are_dead(tmp_path: Path) -> None:
    first = ProcessIdentity(tmp_path, "infer")
    beside = ProcessIdentity(tmp_path, "infer")
    other_role = ProcessIdentity(tmp_path, "deliver")
    assert (first.is_only, beside.is_only, other_role.is_only) == (True, False, True)
    assert not beside.holder.startswith(first.family)
    first.close()
    successor = ProcessIdentity(tmp_path, "infer")
    assert successor.is_only
    assert successor.family == first.family
    assert successor.holder != first.holder
    for identity in (beside, other_role, successor):
        identity.close()


@pytest.mark.parametrize("role", ["infer", "deliver"])
def test_a_holders_name_fits_its_column(tmp_path: Path, role: str) -> None:
    identity = ProcessIdentity(tmp_path, role)
    assert len(identity.holder) <= 128
    identity.close()
