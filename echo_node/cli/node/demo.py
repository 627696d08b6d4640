"""`echo-node demo`: a node of its own, a phantom chest pushed to it over DICOM, and its draft."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from echo_node.cli import options
from echo_node.cli.output import console, styled_state
from echo_node.domain.work.lifecycle import StudyState
from echo_node.errors import EchoNodeError, PermanentError, TransientError
from echo_node.settings import Peer, Role, Settings

if TYPE_CHECKING:
    from rich.console import Console

    from echo_node.storage.open import Storage

_ADDRESS = "127.0.0.1"
_START_S, _DRAFT_S, _STOP_S = 60.0, 240.0, 90.0
_LOOK_EVERY_S = 0.05
_ENDS = {StudyState.DRAFTED, StudyState.DELIVERED, StudyState.SKIPPED, StudyState.FAILED}

_CONFIGURATION = """\
# The node of `echo-node demo`: on this machine only, with a folder of its own.
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


@dataclass(frozen=True, slots=True)
class _Node:
    """The running node, its configuration and its log."""

    process: subprocess.Popen[bytes]
    settings: Settings
    config: Path
    log: Path

    def check(self) -> None:
        """Raise PermanentError with the reason if the node has gone, or a part of it cannot run."""
        for line in self.log.read_text(encoding="utf-8", errors="replace").splitlines():
            if '"cannot_run"' in line and line.endswith("}"):
                raise PermanentError(str(json.loads(line)["reason"]))
        if self.process.poll() is not None:
            raise PermanentError(
                f"the node ended with code {self.process.returncode}; its log {self.log} ends:\n{self.tail()}"
            )

    def tail(self) -> str:
        """Return the last lines of the log."""
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:])


def demo(
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", metavar="DIR", help="A new folder. Default: a temporary one.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Which phantom.")] = 1,
    model: options.Model = None,
    *,
    once: Annotated[bool, typer.Option("--once", help="Stop after the draft.")] = False,
) -> None:
    """Show the whole way on this machine: push a chest study, see its draft.

    Starts a node of its own on free ports, pushes a phantom chest X-ray to it
    over DICOM, prints what happens and the draft, says where the Structured
    Report lies, and goes on serving until Ctrl-C. Your configuration is not
    read, and nothing leaves this machine.
    """
    from echo_node.dicom.library_settings import configure_libraries

    configure_libraries()
    folder = _folder(data_dir)
    out = console()
    with _running_node(folder, model or Settings().model.name) as node:
        out.print(
            f"[bold]Node[/bold]      ECHO_NODE on {_ADDRESS}:{node.settings.node.port}, folder {folder}"
        )
        _push_and_show(node, seed, folder, out)
        if once:
            return
        out.print(
            f"\n[bold]The node goes on serving[/bold] until Ctrl-C. In another shell:\n"
            f"  echo-node send FILE.dcm --to ECHO_NODE@{_ADDRESS}:{node.settings.node.port}\n"
            f"  echo-node status --config {node.config}\n"
            f"  http://{_ADDRESS}:{node.settings.web.port}/"
        )
        try:
            while node.process.poll() is None:
                time.sleep(0.2)
        except KeyboardInterrupt:
            out.print("\nStopping.")
            return
        node.check()


def _folder(given: Path | None) -> Path:
    if given is None:
        return Path(tempfile.mkdtemp(prefix="echo-node-demo-"))
    if given.exists() and any(given.iterdir()):
        raise PermanentError(f"{given} is not empty: the demonstration wants a folder of its own")
    given.mkdir(parents=True, exist_ok=True)
    return given.resolve()


@contextmanager
def _running_node(folder: Path, model: str) -> Iterator[_Node]:
    """Run a node, configured by one file of its own, until the end of the block."""
    port, web_port = _free_ports(2)
    config, log = folder / "node.toml", folder / "node.log"
    config.write_text(
        _CONFIGURATION.format(
            address=_ADDRESS, port=port, web_port=web_port, data_dir=folder / "data", model=model
        ),
        encoding="utf-8",
    )
    from echo_node.config import load
    from echo_node.processes import python_module, send_configuration

    settings = load(config).settings
    with log.open("wb") as log_file:
        # A session of its own: Ctrl-C reaches us alone, and we stop the node in order. If we are killed,
        # the pipe ends and the node with it.
        process = subprocess.Popen(  # noqa: S603 - our own program
            python_module("echo_node.node", Role.ALL.value),
            stdin=subprocess.PIPE,
            stdout=log_file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        send_configuration(process, settings.model_dump_json().encode())
        yield _Node(process, settings, config, log)
    finally:
        signal.signal(signal.SIGTERM, before)
        _stop(process)


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
            each.bind((_ADDRESS, 0))
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _push_and_show(node: _Node, seed: int, folder: Path, out: Console) -> None:
    """Push the phantom of *seed*, print what becomes of it, and the draft.

    Raises:
        PermanentError: it ended otherwise than with a draft.
    """
    from echo_node.dicom.scu.c_store import send_files
    from echo_node.storage.open import open_storage
    from training.phantom.dicom_study import study_truth, views_of, write_study

    peer = Peer(ae_title=node.settings.node.ae_title, host=_ADDRESS, port=node.settings.node.port)
    findings, report = study_truth(seed)
    paths = write_study(folder, seed=seed)
    views = dict(zip(paths, views_of(findings.patient), strict=True))
    with out.status("starting"):
        _wait_until_it_answers(node, peer)
    started = time.monotonic()
    for result in send_files(paths, peer, "DEMO_MODALITY"):
        if not result.stored:
            raise PermanentError(f"the node did not take the phantom: {result.message}")
        size = result.path.stat().st_size / 2**20
        what = f"a phantom chest, {views[result.path]}, {size:.1f} MiB"
        out.print(f"[bold]Pushed[/bold]    {what} by C-STORE: {result.message}")
    out.print()
    with open_storage(node.settings) as storage:
        record = _follow(node, storage, started, out)
        if not record["documents"]:
            raise PermanentError(f"the study ended as {record['state']}: {record['reason']}")
        path = record["documents"][-1]["path"]
        sr, content = storage.objects.location(path), storage.objects.read(path)
    _print_draft(content, out)
    out.print("[dim]What this phantom was made to show:[/dim]")
    out.print(f"[dim]{report.text}[/dim]\n", soft_wrap=False)
    out.print(f"[bold]Structured Report[/bold]  {sr}")


def _wait_until_it_answers(node: _Node, peer: Peer) -> None:
    from echo_node.dicom.scu.c_store import Sender

    sender = Sender("DEMO_MODALITY", {"node": peer}, 5.0)
    deadline = time.monotonic() + _START_S
    while True:
        node.check()
        try:
            sender.echo("node")
        except EchoNodeError as error:
            if time.monotonic() > deadline:
                raise TransientError(f"the node does not answer: {error}\n{node.tail()}") from error
            time.sleep(_LOOK_EVERY_S)
        else:
            return


def _follow(node: _Node, storage: Storage, started: float, out: Console) -> dict[str, Any]:
    """Print each state that the study comes to, and return its record at the end."""
    seen = ""
    deadline = time.monotonic() + _DRAFT_S
    while time.monotonic() < deadline:
        node.check()
        for study in storage.queries.recent_studies(1):
            if study["state"] == seen:
                continue
            seen = study["state"]
            out.print(f"  {time.monotonic() - started:6.2f} s  {styled_state(seen)}")
            if seen in _ENDS:
                return storage.queries.show(study["study_id"])
        time.sleep(_LOOK_EVERY_S)
    raise TransientError(
        f"no draft after {_DRAFT_S:.0f} s; the log {node.log} ends:\n{node.tail()}\n(the study is {seen})"
    )


def _print_draft(part10: bytes, out: Console) -> None:
    from rich.panel import Panel
    from rich.text import Text

    from echo_node.dicom.documents.sr_reader import read_sections

    body = Text()
    for number, section in enumerate(read_sections(part10)):
        body.append("\n\n" if number else "")
        body.append(section.heading, style="bold")
        for text in section.texts:
            body.append(f"\n  {text}")
    out.print()
    panel = Panel(body, title="AI DRAFT - UNVERIFIED", border_style="yellow", width=min(out.width, 100))
    out.print(panel, soft_wrap=False)


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(rich_help_panel="The node")(demo)
