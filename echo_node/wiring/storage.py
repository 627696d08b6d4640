"""Storage as configured: database, object store, the machine's clock and random UIDs."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from pathlib import Path

from echo_node.domain.ports import Clock
from echo_node.errors import ConfigError, PermanentError
from echo_node.settings import Settings
from echo_node.storage.database.engine import Database
from echo_node.storage.objects.local import LocalObjects
from echo_node.storage.objects.store import ObjectStore
from echo_node.storage.open import Storage, StoragePlan
from echo_node.wiring.conflicts import on_conflict_of


class SystemClock:
    """The machine's clock. Implements the Clock port."""

    def now(self) -> datetime:
        """Return the present time in UTC."""
        return datetime.now(UTC)


def open_storage(settings: Settings, clock: Clock | None = None) -> Storage:
    """Open storage. The schema stays as it is (see Storage.upgrade).

    Raises:
        ConfigError: a package that the database or the object store needs is not installed.
        OSError: the data folder cannot be used.
    """
    data_dir = settings.node.data_dir
    plan = StoragePlan(
        data_dir,
        settings.intake,
        settings.queue,
        settings.delivery,
        settings.retention,
        settings.peers,
        settings.documents_by_destination,
        settings.committing,
        settings.archive,
        on_conflict_of(settings.peers.values()),
        _subject_of,
    )
    database = Database(settings.database_url, data_dir.absolute() / "run" / "notifications")
    return Storage(database, open_objects(settings), plan, clock or SystemClock(), random_uid)


def _subject_of(path: Path) -> str:
    from echo_node.dicom.instance_file import instance_from_file

    try:
        return instance_from_file(path).identity.subject
    except PermanentError:
        return ""


def open_objects(settings: Settings) -> ObjectStore:
    """Return the store of images and documents.

    Raises:
        ConfigError: a package that the store needs is not installed.
    """
    storage, data_dir = settings.storage, settings.node.data_dir
    if not storage.is_remote:
        return LocalObjects(storage.folder or data_dir)
    try:
        from echo_node.storage.objects.remote import open_remote
    except ModuleNotFoundError as error:
        raise ConfigError("storage.url needs fsspec and s3fs: install echo-node[s3]") from error
    return open_remote(storage, data_dir, settings.intake.minimum_free_bytes)


def random_uid() -> str:
    """Return a random UID (PS3.5 B.2)."""
    return f"2.25.{uuid.uuid4().int}"
