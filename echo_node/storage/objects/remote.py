"""Objects in an object store that several machines share, such as S3, through fsspec.

An object is written to a file of this machine and sent whole. `put` returns only when the store
reports the full length. Object stores show no part of an incomplete object, and no row names an
object before it is confirmed. Objects that are read as files are fetched, and removed afterwards.

fsspec reads credentials as its documentation states: for S3 from AWS_ACCESS_KEY_ID and
AWS_SECRET_ACCESS_KEY, the machine's role, or ~/.aws. They are never in the settings.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import fsspec
import structlog

from echo_node.durable_files import (
    clear_leftovers,
    make_folder_durably,
    nearest_existing,
    temporary_file,
)
from echo_node.errors import ConfigError, PermanentError, TransientError, Unavailable
from echo_node.settings import StorageSettings
from echo_node.storage.objects.store import (
    AREAS,
    OUTBOX,
    OWNER,
    SPOOL,
    SUFFIXES,
    TEMPORARY,
    ObjectStore,
    Unfinished,
    area_of,
)

log = structlog.get_logger()

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
_NO_CONDITION = frozenset({errno.ENOSYS, errno.EINVAL})
"""Errors of s3fs with a service that does not support If-None-Match."""
_S3 = frozenset({"s3", "s3a"})
_TRIES = 3
"""Number of retries of s3fs, during which a C-STORE waits."""
_LONGEST_CONNECT_S = 5.0
_LAST_CHANGED = ("LastModified", "mtime", "updated", "last_modified", "created")
"""Keys of the last change in the file systems of fsspec."""
_CLOCK = "clock"
"""Empty object outside every area; its write time is the present time of the store."""


class RemoteObjects(ObjectStore):
    """Objects below a path of a file system of fsspec. Implements ObjectStore.

    Args:
        file_system: file system of fsspec, without a cache of listings.
        root: bucket and prefix.
        data_dir: folder of this machine, for files in transfer.
        minimum_free_bytes: free disk space below which nothing is fetched, in bytes.
    """

    def __init__(self, file_system: Any, root: str, data_dir: Path, minimum_free_bytes: int) -> None:
        self._file_system = file_system
        self._root = root.rstrip("/")
        self._data_dir = data_dir.resolve()
        self._temporary = {area: self._data_dir / area / TEMPORARY for area in AREAS}
        self._fetched = self._data_dir / "fetched"
        self._minimum_free_bytes = minimum_free_bytes
        self._failures = _failures_of(file_system)

    @contextmanager
    def begin(self, area: str) -> Iterator[Unfinished]:
        """Begin a file that is sent once it is complete, and confirmed."""
        folder = self._temporary[area]
        make_folder_durably(folder)
        with temporary_file(folder) as (file, path):

            def keep(name: str) -> None:
                area_of(name)
                file.flush()
                self._send(path, name, os.fstat(file.fileno()).st_size)

            yield Unfinished(file, keep)

    def _send(self, path: Path, name: str, size: int) -> None:
        """Send a file. If only the answer is lost, the stored object is an orphan for the sweep."""
        with self._answering():
            self._file_system.put_file(str(path), self._key(name))
            kept = self._file_system.info(self._key(name))["size"]
        if kept != size:
            self.remove(name)
            raise TransientError(f"the object store kept {kept} of {size} bytes: send again later")

    def read(self, name: str) -> bytes:
        """Return the content of an object."""
        area_of(name)
        try:
            with self._giving():
                content: bytes = self._file_system.cat_file(self._key(name))
        except FileNotFoundError as error:
            self._check_that_it_is_ours(name)
            raise PermanentError("its object is not in the object store") from error
        return content

    def contains(self, name: str) -> bool:
        """Return whether the object exists."""
        area_of(name)
        with self._answering():
            return bool(self._file_system.exists(self._key(name)))

    @contextmanager
    def local_paths(self, names: Sequence[str]) -> Iterator[Sequence[Path]]:
        """Fetch objects into a new folder, which is removed at the end."""
        if not names:
            yield []
            return
        folder, lock = self._new_folder()
        try:
            yield [self._fetch(name, folder) for name in names]
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)

    def _fetch(self, name: str, folder: Path) -> Path:
        area_of(name)
        if shutil.disk_usage(folder).free < self._minimum_free_bytes:
            raise TransientError(
                "too little disk is free to fetch images (intake.minimum_free_bytes): "
                "free space in node.data_dir"
            )
        path = folder / name.rpartition("/")[2]
        try:
            with self._giving():
                self._file_system.get_file(self._key(name), str(path))
        except FileNotFoundError:
            self._check_that_it_is_ours(name)
            path.unlink(missing_ok=True)
        return path

    def _new_folder(self) -> tuple[Path, int]:
        """Create a folder and lock it; remove the unlocked folders of dead processes.

        Returns:
            The folder, and the file descriptor of the lock.
        """
        self._fetched.mkdir(parents=True, exist_ok=True)
        parent = os.open(self._fetched, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(parent, fcntl.LOCK_EX)
            for other in self._fetched.iterdir():
                _remove_if_dead(other)
            folder = self._fetched / secrets.token_hex(8)
            folder.mkdir()
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(lock, fcntl.LOCK_EX)
        finally:
            os.close(parent)
        return folder, lock

    def remove(self, name: str) -> None:
        """Remove an object; for S3 a missing one is no error."""
        area_of(name)
        with suppress(TransientError), self._answering():
            self._file_system.rm_file(self._key(name))

    def older_than(self, age_s: float, not_before: float | None = None) -> Iterator[str]:
        """Yield the names of the objects of at least this age by the store's own clock."""
        limit = self.now() - age_s
        for found in self._objects():
            changed = self._changed(found)
            if changed < limit and (not_before is None or changed > not_before):
                yield self._name(found)

    def _objects(self) -> Iterator[dict[str, Any]]:
        """List the objects; the spool folder by folder, as it may be too large for one listing."""
        for folder in self._list(SPOOL):
            if folder["type"] == "directory":
                yield from (each for each in self._list(self._name(folder)) if _is_object(each))
        yield from filter(_is_object, self._list(OUTBOX))

    def is_empty(self) -> bool:
        """Return whether all areas are empty."""
        return next(self._objects(), None) is None

    def read_owner(self) -> bytes | None:
        """Return the content of the owner's object; None if it does not exist."""
        try:
            with self._answering(may_lack=True):
                content: bytes = self._file_system.cat_file(self._key(OWNER))
        except FileNotFoundError:
            self.ping()  # a missing bucket has no owner either
            return None
        return content

    def write_owner(self, content: bytes, *, replacing: bool) -> None:
        """Write the owner's object; without conditional writes, the last writer wins."""
        if replacing or not self._create_owner(content):
            with self._answering():
                self._file_system.pipe_file(self._key(OWNER), content)

    def _create_owner(self, content: bytes) -> bool:
        """Write the owner's object if it is missing. Return false without conditional writes."""
        try:
            with self._answering(may_exist=True):
                self._file_system.pipe_file(self._key(OWNER), content, mode="create")
        except FileExistsError:
            return True
        except NotImplementedError:
            return False
        except TransientError as error:
            if self.read_owner() is not None:  # some S3 services report it with another error
                return True
            if isinstance(error.__cause__, OSError) and error.__cause__.errno in _NO_CONDITION:
                return False
            raise
        return True

    def holds(self, path: Path) -> bool:
        """Return false, because files of this machine are outside the store."""
        return False

    def now(self) -> float:
        """Return the time of the store's clock, because this machine's clock may be wrong."""
        with self._answering():
            self._file_system.pipe_file(self._key(_CLOCK), b"")
            return self._changed(self._file_system.info(self._key(_CLOCK)))

    def _changed(self, found: dict[str, Any]) -> float:
        when = next((found[key] for key in _LAST_CHANGED if found.get(key)), None)
        if when is None:
            with self._answering():
                when = self._file_system.modified(found["name"])
        return when.timestamp() if isinstance(when, datetime) else float(when)

    def _list(self, name: str) -> list[dict[str, Any]]:
        try:
            with self._answering(may_lack=True):
                found: list[dict[str, Any]] = self._file_system.ls(self._key(name), detail=True)
        except FileNotFoundError:
            return []
        return found

    def clear_leftovers(self) -> int:
        """Remove incomplete files of killed processes on this machine. Return their number."""
        return sum(map(clear_leftovers, self._temporary.values()))

    def ping(self) -> None:
        """Check that the bucket exists; an empty prefix is fine."""
        bucket = self._root.partition("/")[0]
        with self._answering():
            is_there = self._file_system.exists(self._root) or self._file_system.exists(bucket)
        if not is_there:
            raise TransientError(f"the object store has no bucket '{bucket}', or hides it from us")

    def location(self, name: str) -> str:
        """Return the URL of an object."""
        return str(self._file_system.unstrip_protocol(self._key(name)))

    @property
    def free_bytes(self) -> int:
        """Free space for files in transfer, on this machine, in bytes."""
        return shutil.disk_usage(nearest_existing(self._data_dir)).free

    @property
    def used_share(self) -> float:
        """Always 0, because an object store has no limit."""
        return 0.0

    def _key(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _name(self, found: dict[str, Any]) -> str:
        return str(found["name"]).removeprefix(f"{self._root}/").rstrip("/")

    def _check_that_it_is_ours(self, name: str) -> None:
        """Distinguish a lost object from a wrong store.

        Raises:
            Unavailable: the whole area is missing, so this is not a reason to give up.
        """
        area = area_of(name)
        with self._answering():
            is_there = self._file_system.exists(self._key(area))
        if not is_there:
            raise Unavailable(
                f"the object store has no {area}: is storage.url the one that the node has written to?"
            )

    @contextmanager
    def _giving(self) -> Iterator[None]:
        """Distinguish an unreadable object from a store that does not answer.

        FileNotFoundError passes.
        """
        try:
            with self._answering(may_lack=True):
                yield
        except TransientError as error:
            try:
                self.ping()
            except TransientError:
                raise Unavailable(str(error)) from error
            raise

    @contextmanager
    def _answering(self, *, may_lack: bool = False, may_exist: bool = False) -> Iterator[None]:
        """Turn errors of the store's library into TransientError, without texts that quote names.

        Args:
            may_lack: whether FileNotFoundError passes.
            may_exist: whether FileExistsError passes.
        """
        try:
            yield
        except self._failures as error:
            if (isinstance(error, FileNotFoundError) and may_lack) or (
                isinstance(error, FileExistsError) and may_exist
            ):
                raise
            if isinstance(error, OSError) and error.errno in _NO_ROOM:
                raise
            raise TransientError(
                f"the object store refuses, or does not answer ({type(error).__name__})"
            ) from error


def open_remote(settings: StorageSettings, data_dir: Path, minimum_free_bytes: int) -> RemoteObjects:
    """Return the store that `storage.url` names, without a request to it.

    Raises:
        ConfigError: fsspec does not support such URLs, or a package for them is missing.
    """
    protocol = settings.url.partition("://")[0]
    options: dict[str, Any] = {}
    if protocol in _S3:
        # s3fs retries itself, and botocore's retries would multiply with those.
        options["config_kwargs"] = {
            "connect_timeout": min(_LONGEST_CONNECT_S, settings.timeout_s),
            "read_timeout": settings.timeout_s,
            "retries": {"total_max_attempts": 1},
        }
        if settings.endpoint_url:
            options["endpoint_url"] = settings.endpoint_url
    try:
        file_system, root = fsspec.core.url_to_fs(
            settings.url, use_listings_cache=False, skip_instance_cache=True, **options
        )
    except ImportError as error:
        raise ConfigError(
            f"storage.url needs a package that is not installed ({error}): for s3:// install echo-node[s3]"
        ) from error
    except ValueError as error:
        raise ConfigError(f"storage.url: {error}") from error
    if protocol in _S3:
        file_system.retries = _TRIES
    return RemoteObjects(file_system, root, data_dir, minimum_free_bytes)


def _is_object(found: dict[str, Any]) -> bool:
    return str(found["name"]).endswith(SUFFIXES)


def _failures_of(file_system: Any) -> tuple[type[Exception], ...]:
    """Return the exceptions of a file system whose store does not answer."""
    protocols = file_system.protocol if isinstance(file_system.protocol, tuple) else (file_system.protocol,)
    if not _S3 & set(protocols):
        return (OSError,)
    from aiohttp import ClientError
    from botocore.exceptions import BotoCoreError

    return (OSError, BotoCoreError, ClientError)


def _remove_if_dead(folder: Path) -> None:
    """Remove a folder that no living process has locked."""
    with suppress(OSError):
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
            log.info("leftovers_removed", kind="fetched", count=1)
        finally:
            os.close(lock)
