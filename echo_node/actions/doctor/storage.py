"""Checks of disk, object store and database, and of the store's owner."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from echo_node.actions.doctor.check import Check, Grade
from echo_node.actions.open_storage import is_absent
from echo_node.actions.schema import schema_version
from echo_node.errors import EchoNodeError
from echo_node.settings import Settings


def check_disks(settings: Settings) -> Iterator[Check]:
    """Check the free space of the data folder, and of a shared folder of images and drafts."""
    needed = settings.intake.minimum_free_bytes
    yield _check_disk(settings.node.data_dir, "node.data_dir", needed)
    if settings.storage.folder is not None:
        yield _check_disk(settings.storage.folder, "storage.url", needed)


def check_store(settings: Settings) -> Iterator[Check]:
    """Check whether the object store answers, if there is one."""
    if not settings.storage.is_remote:
        return
    from echo_node.wiring.storage import open_objects

    try:
        open_objects(settings).ping()
    except EchoNodeError as error:
        remedy = "check storage.url and storage.endpoint_url, and the credentials in the environment"
        yield Check("storage", Grade.FAILED, str(error), remedy)
    else:
        yield Check("storage", Grade.OK, f"{settings.storage.url} answers")


def check_database(settings: Settings) -> Check:
    """Check whether the database answers, and the version of its schema."""
    if is_absent(settings):
        return Check("database", Grade.NOTE, "does not exist yet", "`serve` or `db upgrade` creates it")
    try:
        version = schema_version(settings)
    except EchoNodeError as error:
        return Check("database", Grade.FAILED, str(error), "check that the server runs, and database.url")
    here, needed = version.current, version.needed
    if version.is_usable:
        newer = "" if here == needed else ", of a newer program version that this one can work with"
        return Check("database", Grade.OK, f"{version.dialect}, version {here}{newer}")
    message = f"{version.dialect}, version {here or 'none'}, but this program needs {needed}"
    return Check("database", Grade.NOTE, message, "`serve` or `db upgrade` upgrades it")


def check_owner(settings: Settings) -> Iterator[Check]:
    """Check whether the images and drafts belong to this node's database."""
    from echo_node.storage.database import migrate
    from echo_node.storage.objects.ownership import StoreOwnership
    from echo_node.storage.objects.store import SPOOL
    from echo_node.wiring.storage import open_storage

    folder = settings.storage.folder or settings.node.data_dir
    if not (settings.storage.is_remote or (folder / SPOOL).is_dir()):
        return  # opening the store would create its folders
    try:
        if is_absent(settings):
            yield from _check_owner_without_database(settings)
            return
        with open_storage(settings) as storage:
            if not migrate.is_usable(storage.database):
                return
            found = storage.ownership.examine()
    except (EchoNodeError, OSError):
        return  # the checks of disk, store and database report it
    if found.standing is StoreOwnership.OURS:
        yield Check("owner", Grade.OK, f"{found.where}: this node, {found.node}")
    elif found.standing is StoreOwnership.FREE:
        yield Check("owner", Grade.NOTE, f"{found.where}: no owner yet", "`serve` claims the store")
    else:
        yield Check("owner", Grade.FAILED, found.refusal, "no process starts until this is resolved")


def _check_owner_without_database(settings: Settings) -> Iterator[Check]:
    from echo_node.storage.objects.ownership import decoded
    from echo_node.storage.objects.store import OWNER
    from echo_node.wiring.storage import open_objects

    objects = open_objects(settings)
    if content := objects.read_owner():
        node = decoded(content).node
        message = f"{objects.location(OWNER)}: node {node}, but its database is not here"
        remedy = "set database.url or node.data_dir to it, or `restore --take-over` a backup of it"
        yield Check("owner", Grade.FAILED, message, remedy)


def _check_disk(folder: Path, setting: str, needed: int) -> Check:
    from echo_node.durable_files import nearest_existing

    folder = folder.resolve()
    there = nearest_existing(folder)
    free = shutil.disk_usage(there).free
    amount = f"{folder}: {free / 2**30:.1f} GiB free"
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        return Check(
            "disk", Grade.FAILED, f"{there} is not writable", "give the node's user write access to it"
        )
    if free < needed:
        return Check(
            "disk",
            Grade.FAILED,
            f"{amount}, below intake.minimum_free_bytes ({needed / 2**30:.1f} GiB): the node refuses C-STORE",
            f"free space there, or change {setting}",
        )
    return Check("disk", Grade.OK, amount)
