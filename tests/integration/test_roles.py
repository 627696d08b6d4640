"""Roles are processes: what each loads, how the tree begins and ends."""

import os
import re
import signal
from pathlib import Path

import pytest
from integration.orthanc import free_port
from support.serving import ServedNode, eventually

from echo_node.dicom.scu.c_store import Sender
from echo_node.processes import EXIT_CONFIGURATION
from echo_node.settings import Peer

_HEAVY = r"/(torch|transformers|highdicom)/"


def _descendants(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [child for each in map(int, children) for child in (each, *_descendants(each))]


def _loaded(pid: int) -> str:
    return Path(f"/proc/{pid}/maps").read_text()


def test_a_receiver_never_loads_torch(tmp_path: Path) -> None:
    with ServedNode(tmp_path, "--role", "receive") as node:
        node.start("receive")
        assert node._process is not None
        assert "libpython" in _loaded(node._process.pid) or "python" in _loaded(node._process.pid)
        assert not re.search(_HEAVY, _loaded(node._process.pid))
        assert node.stop() == 0


@pytest.mark.slow
def test_the_tree_ends_in_order_and_nothing_is_left(tmp_path: Path) -> None:
    with ServedNode(tmp_path) as node:
        node.start("receive", "deliver", "web", "infer")
        assert node._process is not None
        children = _descendants(node._process.pid)
        assert len(children) == 4
        assert sum(bool(re.search(_HEAVY, _loaded(child))) for child in children) == 1
        assert node.stop() == 0
        assert [child for child in children if Path(f"/proc/{child}").exists()] == []
        stopped = [event["role"] for event in node.events() if event["event"] == "role_stopped"]
        assert stopped == ["receive", "infer", "deliver", "web"]


@pytest.mark.slow
@pytest.mark.long
def test_children_end_with_their_parent_and_a_dead_child_is_replaced(tmp_path: Path) -> None:
    with ServedNode(tmp_path) as node:
        node.start("receive", "deliver", "web")
        assert node._process is not None
        children = _descendants(node._process.pid)
        os.kill(children[0], signal.SIGKILL)
        eventually(lambda: len(_descendants(node._process.pid)) == 4, "the child is replaced")  # type: ignore[union-attr]
        children = _descendants(node._process.pid)
        os.kill(node._process.pid, signal.SIGKILL)
        eventually(
            lambda: not any(Path(f"/proc/{child}").exists() and not _is_zombie(child) for child in children),
            "every child ends with its parent",
            60,
        )


@pytest.mark.long
def test_several_receivers_share_a_port(tmp_path: Path) -> None:
    port = free_port()
    arguments = ("--role", "receive", "--set", "intake.processes=3")
    with ServedNode(tmp_path, *arguments, port=port) as node:
        node.start("receive")
        assert node._process is not None
        receivers = _descendants(node._process.pid)
        assert len(receivers) == 3
        eventually(lambda: _listeners(port) == 3, "all of them listen")
        _echo_often(port)
        os.kill(receivers[0], signal.SIGKILL)
        eventually(lambda: _listeners(port) == 2, "one has died")
        _echo_often(port)
        eventually(lambda: _listeners(port) == 3, "another takes its place")
        with ServedNode(tmp_path / "other", *arguments, port=port) as other:
            other.start()
            assert other.wait() == EXIT_CONFIGURATION
        assert node.stop() == 0


def _listeners(port: int) -> int:
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return sum(line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A" for line in lines)


def _echo_often(port: int) -> None:
    peer = Peer(ae_title="ECHO_NODE", host="127.0.0.1", port=port)
    for _ in range(12):
        Sender("TEST", {"node": peer}, 10).echo("node")


def _is_zombie(pid: int) -> bool:
    try:
        return ") Z " in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return True
