"""`echo-node send FILE… --to AE@host:port`: send DICOM files to a peer, with a result for each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from echo_node.cli import options
from echo_node.cli.output import console, print_json
from echo_node.config.values import pacs_peer
from echo_node.errors import ConfigError, PermanentError
from echo_node.settings import Peer, Settings

if TYPE_CHECKING:
    from echo_node.dicom.scu.c_store import FileResult


def send(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="DICOM files, or folders of them.")],
    to: Annotated[
        str, typer.Option("--to", metavar="AE@host:port", help="Peer to send to, or its name in peers.toml.")
    ],
    ae_title: Annotated[str | None, typer.Option("--ae-title", help="Our AE title.")] = None,
    config: options.Config = None,
    *,
    json: options.Json = False,
) -> None:
    """Send DICOM files to a peer by C-STORE, with a result for each file.

    Folders are searched for files. The exit code is 1 if a file was not stored.

    [bold]Examples[/bold]

      echo-node send chest.dcm --to ECHO_NODE@localhost:11112
      echo-node send study-folder --to pacs --json
    """
    settings = options.load_settings(config, ae_title=ae_title).settings
    peer = _peer(to, settings)
    from echo_node.dicom.library_settings import configure_libraries
    from echo_node.dicom.scu.c_store import send_files

    configure_libraries()
    paths = list(_expand(files))
    with _progress(len(paths), json=json) as note:
        results = send_files(paths, peer, settings.node.ae_title, note, timeout_s=settings.delivery.timeout_s)
    if json:
        print_json([_as_json(result) for result in results])
    if not results:
        raise PermanentError("there are no files to send")
    if not all(result.stored for result in results):
        raise typer.Exit(1)


def _as_json(result: FileResult) -> dict[str, object]:
    status = None if result.status is None else f"0x{result.status:04X}"
    return {"file": str(result.path), "stored": result.stored, "status": status, "message": result.message}


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


@contextmanager
def _progress(total: int, *, json: bool) -> Iterator[Callable[[FileResult], None]]:
    """Yield a function that prints each result, below a progress bar on a terminal."""
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

    out = console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=out, transient=True, disable=not out.is_terminal) as bar:
        task = bar.add_task("send", total=total)

        def note(result: FileResult) -> None:
            bar.advance(task)
            if not result.stored:
                out.print(f"[red]{escape(str(result.path))}: {escape(result.message)}[/red]")
            elif not json:
                typer.echo(f"{result.path}: {result.message}")

        yield note


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(rich_help_panel="Files")(send)
