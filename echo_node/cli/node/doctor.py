"""`echo-node doctor`: one line for each thing that the node needs, and what to do where it fails."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from echo_node.actions.open_storage import is_absent
from echo_node.cli import options
from echo_node.cli.output import console, print_json
from echo_node.config import LoadedSettings
from echo_node.errors import ConfigError, EchoNodeError
from echo_node.settings import Peer, Settings

if TYPE_CHECKING:
    from echo_node.dicom.scu.c_store import Sender
    from echo_node.hl7.mllp import MllpSender


class Verdict(StrEnum):
    """Whether a thing is as the node needs it; a note is worth knowing and no failure."""

    OK = "ok"
    NOTE = "note"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one thing, and what to do about it."""

    check: str
    verdict: Verdict
    message: str
    remedy: str = ""


def doctor(
    config: options.Config = None,
    data_dir: options.DataDir = None,
    database_url: options.DatabaseUrl = None,
    pacs: options.Pacs = None,
    model: options.Model = None,
    assignments: options.Set = None,
    *,
    json: options.Json = False,
) -> None:
    """Check all that the node needs, a line each; exit code 1 on a failure.

    Configuration, disk, object store, database, whose the images are, model, device, and each
    peer by C-ECHO.
    Nothing is changed: a database that does not exist yet is not made.
    Give it the flags that `serve` gets, --pacs among them.

    [bold]Examples[/bold]

      echo-node doctor
      echo-node doctor --config /etc/echo-node --json
    """
    findings = list(
        _examine(
            lambda: options.load_settings(
                config,
                assignments=assignments,
                pacs=pacs,
                data_dir=data_dir,
                database_url=database_url,
                model=model,
            )
        )
    )
    if json:
        print_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            _print(finding)
    if any(finding.verdict is Verdict.FAILED for finding in findings):
        raise typer.Exit(1)


def _examine(load: Callable[[], LoadedSettings]) -> Iterator[Finding]:
    try:
        loaded = load()
    except ConfigError as error:
        yield Finding("config", Verdict.FAILED, str(error), "correct it; nothing else was checked")
        return
    settings = loaded.settings
    files = ", ".join(str(path) for path in loaded.files) or "no file, defaults"
    yield Finding("config", Verdict.OK, files)
    yield _disk(settings.node.data_dir, "node.data_dir", settings.intake.minimum_free_bytes)
    yield from _storage(settings)
    yield _database(settings)
    yield from _owner(settings)
    yield from _model(settings)
    yield from _peers(settings)


def _disk(folder: Path, setting: str, needed: int) -> Finding:
    from echo_node.durable_files import nearest_existing

    folder = folder.resolve()
    there = nearest_existing(folder)
    free = shutil.disk_usage(there).free
    amount = f"{folder}: {free / 2**30:.1f} GiB free"
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        return Finding(
            "disk", Verdict.FAILED, f"{there} cannot be written to", "give the node's user write access to it"
        )
    if free < needed:
        return Finding(
            "disk",
            Verdict.FAILED,
            f"{amount}, under intake.minimum_free_bytes ({needed / 2**30:.1f} GiB): C-STORE is refused",
            f"free space there, or move {setting}",
        )
    return Finding("disk", Verdict.OK, amount)


def _storage(settings: Settings) -> Iterator[Finding]:
    if settings.storage.folder is not None:
        yield _disk(settings.storage.folder, "storage.url", settings.intake.minimum_free_bytes)
    elif settings.storage.is_remote:
        from echo_node.storage.open import open_objects

        try:
            open_objects(settings).ping()
        except EchoNodeError as error:
            remedy = "check storage.url and storage.endpoint_url, and the credentials in the environment"
            yield Finding("storage", Verdict.FAILED, str(error), remedy)
        else:
            yield Finding("storage", Verdict.OK, f"{settings.storage.url} answers")


def _database(settings: Settings) -> Finding:
    from echo_node.storage.database import migrate
    from echo_node.storage.database.engine import Database

    if is_absent(settings):
        return Finding("database", Verdict.NOTE, "not made yet", "`serve` or `db upgrade` makes it")
    try:
        database = Database(settings.database_url)
        kind = database.dialect
        try:
            here, needed = migrate.current(database), migrate.latest()
            usable = migrate.is_usable(database)
        finally:
            database.close()
    except EchoNodeError as error:
        return Finding(
            "database", Verdict.FAILED, str(error), "is the server running, and database.url right?"
        )
    if usable:
        newer = "" if here == needed else ", of a newer program that this one can work beside"
        return Finding("database", Verdict.OK, f"{kind}, version {here}{newer}")
    message = f"{kind}, version {here or 'none'}, needs {needed}"
    return Finding("database", Verdict.NOTE, message, "`serve` or `db upgrade` brings it to that version")


def _owner(settings: Settings) -> Iterator[Finding]:
    """Tell which node this is, and whether images and drafts are its own."""
    from echo_node.storage import open_storage
    from echo_node.storage.database import migrate
    from echo_node.storage.objects.ownership import Standing, decoded
    from echo_node.storage.objects.store import OWNER, SPOOL
    from echo_node.storage.open import open_objects

    folder = settings.storage.folder or settings.node.data_dir
    if not (settings.storage.is_remote or (folder / SPOOL).is_dir()):
        return  # nothing is made for the sake of looking
    try:
        if is_absent(settings):
            objects = open_objects(settings)
            if content := objects.read_owner():
                message = (
                    f"{objects.location(OWNER)}: node {decoded(content).node}'s, and its database is not here"
                )
                remedy = "set database.url or node.data_dir to it, or `restore --take-over` a backup of it"
                yield Finding("owner", Verdict.FAILED, message, remedy)
            return
        with open_storage(settings) as storage:
            if not migrate.is_usable(storage.database):
                return
            found = storage.ownership.examine()
    except (EchoNodeError, OSError):
        return  # disk, storage and database have said so
    if found.standing is Standing.OURS:
        yield Finding("owner", Verdict.OK, f"{found.where}: this node's, {found.node}")
    elif found.standing is Standing.FREE:
        yield Finding("owner", Verdict.NOTE, f"{found.where}: nobody's yet", "`serve` claims it")
    else:
        yield Finding("owner", Verdict.FAILED, found.refusal, "nothing starts until that is settled")


def _model(settings: Settings) -> Iterator[Finding]:
    import torch

    from echo_node.inference.generator import load_generator

    try:
        model = load_generator(settings.model).model
    except EchoNodeError as error:
        yield Finding("model", Verdict.FAILED, str(error), "name another with --model or model.name")
    else:
        nature = "demonstration model, not for clinical use" if model.demonstration else "not a demonstration"
        yield Finding("model", Verdict.OK, f"{model.name} {model.version} ({model.digest[:12]}), {nature}")
    has_gpu = torch.cuda.is_available()
    if settings.model.device == "cuda" and not has_gpu:
        yield Finding("device", Verdict.FAILED, "PyTorch sees no GPU", "set model.device to 'auto' or 'cpu'")
    elif has_gpu and settings.model.device != "cpu":
        yield Finding("device", Verdict.OK, torch.cuda.get_device_name(0))
    else:
        yield Finding(
            "device", Verdict.OK, f"cpu, {settings.model.threads or torch.get_num_threads()} threads"
        )


def _peers(settings: Settings) -> Iterator[Finding]:
    from echo_node.dicom.library_settings import configure_libraries
    from echo_node.dicom.scu.c_store import Sender
    from echo_node.hl7.mllp import MllpSender

    configure_libraries()
    if not settings.delivery.destinations:
        yield Finding(
            "delivery",
            Verdict.NOTE,
            "no destination: drafts wait in the outbox",
            "--pacs AE@host:port, or delivery.destinations",
        )
    yield from _documents(settings)
    sender = Sender(settings.node.ae_title, settings.peers, settings.delivery.timeout_s)
    by_hl7 = MllpSender(settings.peers, settings.delivery.timeout_s)
    yield from _priors(settings)
    for name, peer in settings.peers.items():
        if peer.host:
            asked = {*settings.delivery.destinations, *settings.archive, settings.priors.peer}
            is_needed = name in asked
            yield _peer(sender, name, peer, is_needed=is_needed)
        if peer.mllp_url:
            yield _hl7_peer(by_hl7, name, peer)


def _documents(settings: Settings) -> Iterator[Finding]:
    """Look whether drafts can be given the forms that destinations get."""
    from echo_node.wiring.destinations import encoders

    try:
        kinds = [each.kind for each in encoders(settings)]
    except ConfigError as error:
        yield Finding("documents", Verdict.FAILED, str(error), "or leave it out of the peer's kinds")
    else:
        yield Finding("documents", Verdict.OK, ", ".join(kinds))


def _priors(settings: Settings) -> Iterator[Finding]:
    """Look whether the archive answers that priors are looked for in."""
    from echo_node.dicom.priors import prior_finder

    finder = prior_finder(settings.priors, settings.peers, settings.node.ae_title)
    if finder is None:
        return
    try:
        finder.probe()
    except EchoNodeError as error:
        remedy = "check [priors], and that the archive lets our AE title query; drafts go out without"
        yield Finding("priors", Verdict.FAILED, str(error), remedy)
    else:
        way = "QIDO-RS" if settings.priors.qido_url else "C-FIND"
        yield Finding("priors", Verdict.OK, f"{finder.archive} answers {way}")


def _hl7_peer(sender: MllpSender, name: str, peer: Peer) -> Finding:
    try:
        sender.probe(name)
    except EchoNodeError as error:
        return Finding(f"peer {name}", Verdict.FAILED, str(error), "check its mllp_url, and its certificate")
    return Finding(f"peer {name}", Verdict.OK, f"{peer.mllp_url} takes connections")


def _peer(sender: Sender, name: str, peer: Peer, *, is_needed: bool) -> Finding:
    address = f"{peer.ae_title} at {peer.host}:{peer.port}"
    try:
        sender.echo(name)
    except EchoNodeError as error:
        # A modality seldom answers C-ECHO; a destination and the archive must.
        verdict = Verdict.FAILED if is_needed else Verdict.NOTE
        remedy = "check its host, port and AE title, and that it knows ours"
        return Finding(f"peer {name}", verdict, f"{address}: {error}", remedy)
    return Finding(f"peer {name}", Verdict.OK, f"{address} answers C-ECHO")


def _print(finding: Finding) -> None:
    from rich.markup import escape

    style = {Verdict.OK: "green", Verdict.NOTE: "yellow", Verdict.FAILED: "bold red"}[finding.verdict]
    remedy = f" [dim]→ {escape(finding.remedy)}[/dim]" if finding.remedy else ""
    console().print(
        f"[{style}]{finding.verdict:<6}[/{style}]  {finding.check:<12} {escape(finding.message)}{remedy}"
    )


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(rich_help_panel="The node")(doctor)
