"""`echo-node send FILE… --to AE@host:port`: DICOM files to a peer, with each file's own result."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from echo_node.cli import options
from echo_node.cli.output import complain, console, print_json
from echo_node.config.values import pacs_peer
from echo_node.errors import ConfigError, EchoNodeError
from echo_node.settings import Peer, Settings


@dataclass(frozen=True, slots=True)
class SendResult:
    """What became of one file; `status` is the peer's DIMSE status, if it gave one."""

    file: str
    sent: bool
    status: str | None
    message: str


def send_files(
    files: Iterable[Path], peer: Peer, *, calling_ae_title: str, timeout_s: float
) -> Iterator[SendResult]:
    """Send each file by C-STORE and yield what became of it."""
    from echo_node.dicom.header import instance_from_file
    from echo_node.dicom.scu import Sender
    from echo_node.domain.report import EncodedDocument

    sender = Sender(calling_ae_title, {"to": peer}, timeout_s)
    for file in files:
        try:
            identity = instance_from_file(file).identity
            document = EncodedDocument(
                kind="file",
                study_instance_uid=identity.study_instance_uid,
                sop_instance_uid=identity.sop_instance_uid,
                sop_class_uid=identity.sop_class_uid,
                transfer_syntax_uid=identity.transfer_syntax_uid,
                part10=file.read_bytes(),
            )
            outcome, status = sender.send(document, "to")
        except EchoNodeError as error:
            yield SendResult(str(file), sent=False, status=None, message=str(error))
        else:
            yield SendResult(str(file), sent=True, status=f"0x{status:04X}", message=outcome.value)


def send(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="DICOM files, or folders of them.")],
    to: Annotated[
        str, typer.Option("--to", metavar="AE@host:port", help="The peer, or its name in peers.toml.")
    ],
    ae_title: Annotated[str | None, typer.Option("--ae-title", help="Our AE title.")] = None,
    config: options.Config = None,
    *,
    json: options.Json = False,
) -> None:
    """Send DICOM files to a peer by C-STORE, each with its own result.

    Folders are searched for files; the exit code is 1 if any was not stored.

    [bold]Examples[/bold]

      echo-node send chest.dcm --to ECHO_NODE@localhost:11112
      echo-node send study-folder --to pacs --json
    """
    settings = options.load_settings(config, ae_title=ae_title).settings
    peer = _peer(to, settings)
    expanded = list(_expand(files))
    results: list[SendResult] = []
    for result in _with_progress(
        send_files(
            expanded,
            peer,
            calling_ae_title=settings.node.ae_title,
            timeout_s=settings.delivery.timeout_s,
        ),
        len(expanded),
    ):
        results.append(result)
        if not result.sent:
            complain(f"{result.file}: {result.message}")
        elif not json:
            typer.echo(f"{result.file}: {result.message} ({result.status})")
    if json:
        print_json([asdict(result) for result in results])
    if not all(result.sent for result in results):
        raise typer.Exit(1)


def _peer(to: str, settings: Settings) -> Peer:
    if "@" in to:
        return pacs_peer(to, "--to")
    if to not in settings.peers or not settings.peers[to].host:
        known = ", ".join(name for name, peer in settings.peers.items() if peer.host) or "none"
        raise ConfigError(f"--to {to}: write AE@host:port, or the name of a peer with a host ({known})")
    return settings.peers[to]


def _expand(files: Iterable[Path]) -> Iterator[Path]:
    for file in files:
        if file.is_dir():
            yield from sorted(path for path in file.rglob("*") if path.is_file())
        else:
            yield file


def _with_progress(results: Iterator[SendResult], total: int) -> Iterator[SendResult]:
    """Show a bar on a terminal while results arrive; nothing elsewhere."""
    out = console(stderr=True)
    if not out.is_terminal or total < 2:
        yield from results
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

    with Progress(BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=out, transient=True) as bar:
        task = bar.add_task("send", total=total)
        for result in results:
            bar.advance(task)
            yield result


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(rich_help_panel="Files")(send)
