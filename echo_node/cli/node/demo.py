"""`echo-node demo`: push a phantom chest to a private node, and show its draft."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from echo_node.cli import options
from echo_node.cli.node.demo_node import ADDRESS, DemoNode, running_node
from echo_node.cli.output import console, styled_state
from echo_node.domain.work.lifecycle import StudyState
from echo_node.errors import PermanentError, TransientError
from echo_node.settings import Settings

if TYPE_CHECKING:
    from rich.console import Console

    from echo_node.storage.open import Storage
    from echo_node.storage.operations.queries import Record

_DRAFT_S = 240.0
_POLL_S, _SERVING_POLL_S = 0.05, 0.2
_ENDS = {StudyState.DRAFTED, StudyState.DELIVERED, StudyState.SKIPPED, StudyState.FAILED}


def demo(
    data_dir: Annotated[
        Path | None,
        typer.Option(
            "--data-dir",
            metavar="DIR",
            help="New or empty folder. Default: a temporary one, which is kept too.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Random seed of the phantom.")] = 1,
    model: options.Model = None,
    *,
    once: Annotated[bool, typer.Option("--once", help="One draft only; the node then stops.")] = False,
) -> None:
    """Demonstrate the whole way on this machine, from a chest study to its draft.

    Starts a private node on free ports, pushes a phantom chest X-ray to it
    over DICOM, prints its progress, the draft and the path of the Structured
    Report, and serves until Ctrl-C or SIGTERM. Your configuration is not
    read, and nothing leaves this machine. The folder stays after the end.
    """
    from echo_node.dicom.library_settings import configure_libraries

    configure_libraries()
    folder = _folder(data_dir)
    out = console()
    with running_node(folder, model or Settings().model.name) as node:
        port = node.settings.node.port
        out.print(f"[bold]Node[/bold]      ECHO_NODE on {ADDRESS}:{port}, folder {folder}")
        _push_and_show(node, seed, folder, out)
        if once:
            return
        out.print(
            f"\n[bold]The node continues to serve[/bold] until Ctrl-C. In another shell:\n"
            f"  echo-node send FILE.dcm --to ECHO_NODE@{ADDRESS}:{port}\n"
            f"  echo-node status --config {node.config}\n"
            f"  http://{ADDRESS}:{node.settings.web.port}/"
        )
        try:
            while node.is_running and not node.termination.has_arrived:
                time.sleep(_SERVING_POLL_S)
        except KeyboardInterrupt:
            out.print("\nStopping.")
            return
        node.check()


def _folder(given: Path | None) -> Path:
    if given is None:
        return Path(tempfile.mkdtemp(prefix="echo-node-demo-"))
    if given.exists() and any(given.iterdir()):
        raise PermanentError(f"{given} is not empty: the demonstration needs a new or an empty folder")
    given.mkdir(parents=True, exist_ok=True)
    return given.resolve()


def _push_and_show(node: DemoNode, seed: int, folder: Path, out: Console) -> None:
    """Push a phantom, and print the progress of its study and the draft.

    Raises:
        PermanentError: the study ended without a draft.
    """
    from echo_node.dicom.scu.c_store import send_files
    from echo_node.wiring.storage import open_storage
    from training.phantom.dicom_study import study_truth, views_of, write_study

    findings, report = study_truth(seed)
    paths = write_study(folder, seed=seed)
    views = dict(zip(paths, views_of(findings.patient), strict=True))
    with out.status("starting"):
        node.wait_until_it_answers()
    started = time.monotonic()
    for result in send_files(paths, node.peer, "DEMO_MODALITY"):
        if not result.stored:
            raise PermanentError(f"the node did not store the phantom: {result.message}")
        size = result.path.stat().st_size / 2**20
        image = f"a phantom chest, {views[result.path]}, {size:.1f} MiB"
        out.print(f"[bold]Pushed[/bold]    {image} by C-STORE: {result.message}")
    out.print()
    with open_storage(node.settings) as storage:
        record = _follow(node, storage, started, out)
        if not record["documents"]:
            raise PermanentError(f"the study ended as {record['state']}: {record['reason']}")
        path = record["documents"][-1]["path"]
        sr, content = storage.objects.location(path), storage.objects.read(path)
    _print_draft(content, out)
    out.print("[dim]Report that this phantom was made to show:[/dim]")
    out.print(f"[dim]{report.text}[/dim]\n", soft_wrap=False)
    out.print(f"[bold]Structured Report[/bold]  {sr}")


def _follow(node: DemoNode, storage: Storage, started: float, out: Console) -> Record:
    """Print each new state of the study. Return its record at the end."""
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
        time.sleep(_POLL_S)
    raise TransientError(
        f"no draft after {_DRAFT_S:.0f} s (the study is {seen}); the log {node.log} ends:\n{node.tail()}"
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
