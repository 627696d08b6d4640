"""A trace of one C-STORE: everything is on the disk before the modality receives success."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.serving import ServedNode, eventually

from training.phantom.dicom_study import write_study

pytestmark = [
    pytest.mark.external,
    pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed: make tools"),
]

_CALLS = "openat,rename,renameat,renameat2,fsync,fdatasync,sendto,sendmsg,write,pwrite64,unlink,unlinkat"


@dataclass(frozen=True)
class Call:
    """A system call that has returned, in order of returning; a send counts from its beginning."""

    name: str
    text: str


def _calls(trace: str) -> list[Call]:
    """Put the halves of interrupted lines together."""
    calls, begun = [], {}
    for line in trace.splitlines():
        match = re.match(r"(?P<pid>\d+)\s+(?P<rest>.*)", line)
        if match is None:
            continue
        pid, rest = match["pid"], match["rest"]
        if rest.endswith("<unfinished ...>"):
            begun[pid] = rest.removesuffix("<unfinished ...>")
            if re.match(r"(sendto|sendmsg)\(", rest):  # the peer may have it before the call returns
                calls.append(Call(rest.partition("(")[0], rest))
            continue
        if resumed := re.match(r"<\.\.\. (?P<name>\w+) resumed>(?P<tail>.*)", rest):
            if resumed["name"].startswith("send"):
                continue
            rest = begun.pop(pid, resumed["name"] + "(") + resumed["tail"]
        if named := re.match(r"(?P<name>\w+)\(", rest):
            calls.append(Call(named["name"], rest))
    return calls


def _first(calls: list[Call], names: str, pattern: str, after: int) -> int:
    for index in range(after + 1, len(calls)):
        if calls[index].name in names.split() and re.search(pattern, calls[index].text):
            return index
    shown = "\n".join(call.text for call in calls[after:])
    raise AssertionError(f"no {names} of {pattern} after call {after}:\n{shown}")


def test_a_response_comes_after_file_folder_and_database_are_on_the_disk(tmp_path: Path) -> None:
    (image,) = write_study(tmp_path, seed=7, views=["PA"], size=256)
    trace = tmp_path / "trace"
    wrapper = ["strace", "-f", "-yy", "-s", "8", "-o", str(trace), "-e", f"trace={_CALLS}"]
    with ServedNode(tmp_path, "--role", "receive", wrapper=wrapper) as node:
        node.start("receive")
        before = len(trace.read_text())
        sent = subprocess.run(
            ["/usr/bin/storescu", "-v", "-aec", "ECHO_NODE", "127.0.0.1", str(node.port), str(image)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert "Success" in sent.stdout + sent.stderr, sent.stdout + sent.stderr
        eventually(lambda: "instance_recorded" in node.log.read_text(), "the event is logged")
        calls = _calls(trace.read_text()[before:])

    created = _first(calls, "openat", r"spool/tmp/\w+\.part.*O_CREAT", -1)
    synced = _first(calls, "fsync fdatasync", r"spool/tmp/\w+\.part>", created)
    renamed = _first(calls, "rename renameat renameat2", r"spool/tmp/\w+\.part.*spool/[0-9a-f]{2}/", synced)
    folder = _first(calls, "fsync", r"spool/[0-9a-f]{2}>", renamed)
    logged = _first(calls, "pwrite64", r"sqlite3-wal>", folder)
    committed = _first(calls, "fsync fdatasync", r"sqlite3-wal>", logged)
    answered = _first(calls, "sendto sendmsg write", r"<TCP", committed)
    assert created < synced < renamed < folder < logged < committed < answered

    # Nothing but the acceptance of the association was sent before.
    early = [call for call in calls[:answered] if call.name in {"sendto", "sendmsg"} and "<TCP" in call.text]
    assert len(early) == 1, early
    assert all(
        re.search(r"= 0$", calls[index].text.strip()) for index in (synced, renamed, folder, committed)
    )
