"""Objects in an object store that several machines share, such as S3, through fsspec.

An object is written to a file of this machine, sent whole, and asked for: only when the store has it at its
full length does `put` return. Object stores show no part of what is being sent, and no row names what was not
confirmed. What is read as files is fetched for as long as it is looked at.

fsspec finds credentials where its documentation says: for S3 in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY,
in the machine's role, in ~/.aws. They are never in the settings.
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
"""What s3fs makes of a service that does not know If-None-Match."""
_S3 = frozenset({"s3", "s3a"})
_TRIES = 3
"""How often s3fs asks again before it gives up; a C-STORE waits for it."""
_LONGEST_CONNECT_S = 5.0
_LAST_CHANGED = ("LastModified", "mtime", "updated", "last_modified", "created")
"""Where the file systems of fsspec keep the time of the last change."""
_CLOCK = "clock"
"""An empty object outside every area, whose time of writing is the store's present."""


class RemoteObjects(ObjectStore):
    """Objects below a path of a file system of fsspec (storage.objects.ObjectStore).

    Args:
        file_system: of fsspec, without a cache of listings.
        root: bucket and prefix.
        data_dir: this machine's folder, for what is on its way.
        minimum_free_bytes: below this much free disk nothing is fetched.
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
        """Begin a file that is sent once it is whole, and seen to be there (see storage.objects)."""
        folder = self._temporary[area]
        make_folder_durably(folder)
        with temporary_file(folder) as (file, path):

            def keep(name: str) -> None:
                area_of(name)
                file.flush()
                self._send(path, name, os.fstat(file.fileno()).st_size)

            yield Unfinished(file, keep)

    def _send(self, path: Path, name: str, size: int) -> None:
        """Send a file; where only the answer was lost, what the store has is an orphan, for the sweep."""
        with self._answering():
            self._file_system.put_file(str(path), self._key(name))
            kept = self._file_system.info(self._key(name))["size"]
        if kept != size:
            self.remove(name)
            raise TransientError(f"the object store kept {kept} of {size} bytes: send again later")

    def read(self, name: str) -> bytes:
        """Return an object's content."""
        area_of(name)
        try:
            with self._giving():
                content: bytes = self._file_system.cat_file(self._key(name))
        except FileNotFoundError as error:
            self._check_that_it_is_ours(name)
            raise PermanentError("its object is not in the object store") from error
        return content

    def contains(self, name: str) -> bool:
        """Say whether there is such an object."""
        area_of(name)
        with self._answering():
            return bool(self._file_system.exists(self._key(name)))

    @contextmanager
    def local_paths(self, names: Sequence[str]) -> Iterator[Sequence[Path]]:
        """Fetch objects into a folder of their own, which is removed at the end."""
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
        """Make a folder and lock it, so that it is told from those of dead processes, which go.

        Returns:
            The folder, and the file descriptor that holds the lock.
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
        """Remove an object; S3 says nothing of one that is gone."""
        area_of(name)
        with suppress(TransientError), self._answering():
            self._file_system.rm_file(self._key(name))

    def older_than(self, age_s: float, not_before: float | None = None) -> Iterator[str]:
        """Yield the names of the objects that are so old by the store's own clock."""
        limit = self.now() - age_s
        for found in self._objects():
            changed = self._changed(found)
            if changed < limit and (not_before is None or changed > not_before):
                yield self._name(found)

    def _objects(self) -> Iterator[dict[str, Any]]:
        """List the objects: the spool folder by folder, it may hold more than is good to list at once."""
        for folder in self._list(SPOOL):
            if folder["type"] == "directory":
                yield from (each for each in self._list(self._name(folder)) if _is_object(each))
        yield from filter(_is_object, self._list(OUTBOX))

    def is_empty(self) -> bool:
        """Say whether there is no object in any area."""
        return next(self._objects(), None) is None

    def read_owner(self) -> bytes | None:
        """Return what the owner's object says."""
        try:
            with self._answering(may_lack=True):
                content: bytes = self._file_system.cat_file(self._key(OWNER))
        except FileNotFoundError:
            self.ping()  # a bucket that is not there has no owner either
            return None
        return content

    def write_owner(self, content: bytes, *, replacing: bool) -> None:
        """Write the owner's object; a store that knows no conditional writing keeps the last writer's."""
        if replacing or not self._create_owner(content):
            with self._answering():
                self._file_system.pipe_file(self._key(OWNER), content)

    def _create_owner(self, content: bytes) -> bool:
        """Write the owner's object if there is none; false if the store knows no such condition."""
        try:
            with self._answering(may_exist=True):
                self._file_system.pipe_file(self._key(OWNER), content, mode="create")
        except FileExistsError:
            return True
        except NotImplementedError:
            return False
        except TransientError as error:
            if self.read_owner() is not None:  # not every S3 service says so in Amazon's words
                return True
            if isinstance(error.__cause__, OSError) and error.__cause__.errno in _NO_CONDITION:
                return False
            raise
        return True

    def holds(self, path: Path) -> bool:
        """Return false: files of this machine are elsewhere."""
        return False

    def now(self) -> float:
        """Return what the store's clock says: this machine's may be wrong, and what is removed is gone."""
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
        """Remove what killed processes left half-written on this machine."""
        return sum(map(clear_leftovers, self._temporary.values()))

    def ping(self) -> None:
        """Ask whether there is anything below the root; a prefix that is empty is as good."""
        bucket = self._root.partition("/")[0]
        with self._answering():
            is_there = self._file_system.exists(self._root) or self._file_system.exists(bucket)
        if not is_there:
            raise TransientError(f"the object store has no bucket '{bucket}', or hides it from us")

    def location(self, name: str) -> str:
        """Return an object's URL."""
        return str(self._file_system.unstrip_protocol(self._key(name)))

    @property
    def free_bytes(self) -> int:
        """The room for what is on its way, on this machine."""
        return shutil.disk_usage(nearest_existing(self._data_dir)).free

    @property
    def used_share(self) -> float:
        """0: an object store has no end."""
        return 0.0

    def _key(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _name(self, found: dict[str, Any]) -> str:
        return str(found["name"]).removeprefix(f"{self._root}/").rstrip("/")

    def _check_that_it_is_ours(self, name: str) -> None:
        """Tell an object that is lost from a store that is not the one that it was written to.

        Raises:
            Unavailable: there is nothing at all of this area; nothing shall be given up for that.
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
        """Tell an object that cannot be had from a store that does not answer; FileNotFoundError passes."""
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
        """Turn what the store's library raises into TransientError, without its text: that quotes names.

        Args:
            may_lack: let FileNotFoundError pass.
            may_exist: let FileExistsError pass.
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
    """Return the store that `storage.url` names; it is not asked for anything yet.

    Raises:
        ConfigError: fsspec does not know such URLs, or lacks a package for them.
    """
    protocol = settings.url.partition("://")[0]
    options: dict[str, Any] = {}
    if protocol in _S3:
        # s3fs asks again itself: botocore's own tries would multiply with those.
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
    """Return what a file system raises when its store does not answer."""
    protocols = file_system.protocol if isinstance(file_system.protocol, tuple) else (file_system.protocol,)
    if not _S3 & set(protocols):
        return (OSError,)
    from aiohttp import ClientError
    from botocore.exceptions import BotoCoreError

    return (OSError, BotoCoreError, ClientError)


def _remove_if_dead(folder: Path) -> None:
    """Remove a folder that no living process holds the lock of."""
    with suppress(OSError):
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
            log.info("leftovers_removed", kind="fetched", count=1)
        finally:
            os.close(lock)
