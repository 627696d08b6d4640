"""Backup and restore of every row and every file that a row names, from one moment.

Rows are lines of JSON, written by the tables that the database has. Therefore a backup of SQLite
can be restored into PostgreSQL, and the other way round, and one of an older version is upgraded by
the restore. Files are the objects of storage/objects/store.py, so that a backup from S3 can be
restored to a folder. Files never change. Therefore a second backup into the same folder copies only
new files.

    BACKUP/manifest.json    description; written last, so a backup without it is not complete
    BACKUP/rows.jsonl.gz    one line a row: [table, {column: value}]
    BACKUP/files/           spool and outbox, as in the data folder
    BACKUP/owner.json       node of the backup; a backup of another node does not replace it
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, DateTime, MetaData, Table, func, insert, select, text

from echo_node.durable_files import fsync_folder, make_folder_durably, write_durably
from echo_node.errors import PermanentError, TransientError
from echo_node.storage.database import migrate
from echo_node.storage.database.engine import Database
from echo_node.storage.database.tables import NodeIdentity
from echo_node.storage.objects.ownership import Owner, Ownership, decoded
from echo_node.storage.objects.store import OWNER, ObjectStore
from echo_node.storage.operations.retention import keeping_files

MANIFEST, ROWS, FILES = "manifest.json", "rows.jsonl.gz", "files"
_FORMAT = 1
_OF_THIS_DATABASE = {"alembic_version", "schema_support", NodeIdentity.__tablename__}
"""Tables that are not part of a backup, because each database has its own."""
_INSERTED_AT_ONCE = 500
_PREAMBLE_BYTES, _GROUP_LENGTH_BYTES = 132, 12

Progress = Callable[[int, int], None]
"""Callback with the number of finished files and of all files."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """Description of a backup.

    Attributes:
        format: version of the layout of the folder.
        schema: version of the database's schema.
        made_at: time at which the rows were read.
        rows: number of rows.
        rows_sha256: digest of the file of rows.
        files: number of files that rows name.
        bytes: size of these files, in bytes.
        missing: files that a row names and that the node had lost before the backup, or that were
            damaged.
    """

    format: int
    schema: str
    made_at: str
    rows: int
    rows_sha256: str
    files: int
    bytes: int
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _File:
    """An object that a row names, with its digest."""

    path: str
    sha256: str
    is_instance: bool

    def is_whole(self, content: bytes) -> bool:
        return (
            hashlib.sha256(data_set_of(content) if self.is_instance else content).hexdigest() == self.sha256
        )


def back_up(
    database: Database, objects: ObjectStore, data_dir: Path, target: Path, progress: Progress
) -> Manifest:
    """Write a backup of a node that may be running.

    Args:
        database: database of the node.
        objects: object store of the node.
        data_dir: data folder of the node, on this machine.
        target: folder of the backup; empty, new, or an earlier backup to bring up to date.
        progress: called after each file.

    Raises:
        ConfigError: another database owns the object store.
        PermanentError: the target is something else, or the backup of another node.
        TransientError: the backup could not be written, retention is running, or the object store
            does not answer; the target is not a complete backup.
    """
    if target.is_dir() and any(target.iterdir()) and not (target / ROWS).exists():
        raise PermanentError(f"{target} is neither empty nor a backup: name another folder")
    node = Ownership(database, objects).refuse_foreign()
    before = backed_up_node(target)
    if before not in (None, node):
        raise PermanentError(
            f"{target} is the backup of node {before}, and this is node {node or 'without an id'}, "
            "which would remove from it what it does not have itself: name another folder"
        )
    try:
        make_folder_durably(target.absolute() / FILES / "tmp")
        if node is not None and before is None:
            made_of = Owner(node, "backup", datetime.now(UTC).isoformat(timespec="seconds"))
            _write(target, OWNER, made_of.encoded())
        with keeping_files(database, data_dir, shared=True) as nothing_goes:
            if not nothing_goes:
                raise TransientError("images are being removed at this moment: try again in a minute")
            (target / MANIFEST).unlink(missing_ok=True)
            rows, files, schema = _write_rows(database, target / ROWS)
            copied, missing = _copy_files(objects, target / FILES, files, progress)
        _forget_others(target / FILES, {file.path for file in files})
        manifest = Manifest(
            _FORMAT,
            schema,
            datetime.now(UTC).isoformat(timespec="seconds"),
            rows,
            _digest(target / ROWS),
            len(files) - len(missing),
            copied,
            tuple(missing),
        )
        _write(target, MANIFEST, json.dumps(asdict(manifest), indent=2).encode() + b"\n")
    except OSError as error:
        raise TransientError(f"the backup could not be written ({error.strerror or error})") from error
    return manifest


def _write(target: Path, name: str, content: bytes) -> None:
    write_durably(target.absolute() / name, (content,), temporary_folder=target / FILES / "tmp")


def backed_up_node(source: Path) -> str | None:
    """Return the id of the node of a backup; None if the backup does not state it."""
    try:
        return decoded((source / OWNER).read_bytes()).node
    except OSError:
        return None


def restore(
    source: Path,
    database: Database,
    objects: ObjectStore,
    progress: Progress,
    taken_from: str | None = None,
) -> Manifest:
    """Restore a backup into an empty node, which gets a new id; check each file's digest.

    Args:
        source: folder of the backup.
        database: unused database.
        objects: store for the files; complete files that are there already stay.
        progress: called after each file.
        taken_from: node that the store may be taken from, because that node is gone for good.

    Raises:
        ConfigError: another database owns the store.
        PermanentError: there is no complete backup, it is damaged, or the node is not empty. The
            database stays unchanged; copied files stay, and the next attempt uses them.
        TransientError: disk, object store or database failed.
    """
    manifest = read_manifest(source)
    if not (source / ROWS).is_file() or _digest(source / ROWS) != manifest.rows_sha256:
        raise PermanentError(f"{source / ROWS} is damaged: it is not what the backup wrote")
    if migrate.current(database) is not None and _has_rows(database):
        raise PermanentError("this node has studies already: restore into an empty one")
    ownership = Ownership(database, objects)
    owner = ownership.begin_restore(manifest.rows_sha256, taken_from)
    files = [file for table, row in _read_rows(source / ROWS) if (file := _file_of(table, row))]
    try:
        _copy_back(source / FILES, objects, files, frozenset(manifest.missing), progress)
    except OSError as error:
        raise TransientError(f"the files could not be written ({error.strerror or error})") from error
    migrate.upgrade(database, manifest.schema)
    with database.write() as session:
        _insert_rows(session.connection(), source / ROWS)
    migrate.upgrade(database)
    ownership.finish_restore(owner)
    return manifest


def read_manifest(source: Path) -> Manifest:
    """Return the description of a backup.

    Raises:
        PermanentError: there is no complete backup, or a newer program made it.
    """
    try:
        stored = json.loads((source / MANIFEST).read_text(encoding="utf-8"))
        if stored["format"] != _FORMAT:
            raise PermanentError(f"{source} is a backup of format {stored['format']}: use a newer echo-node")
        return Manifest(**{**stored, "missing": tuple(stored["missing"])})
    except FileNotFoundError:
        raise PermanentError(f"{source} has no {MANIFEST}: it is no backup, or it was not finished") from None
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise PermanentError(f"{source / MANIFEST} is damaged") from error


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_rows(database: Database, target: Path) -> tuple[int, list[_File], str]:
    """Write all rows of one moment. Return their number, their files and the schema's version."""
    count, files = 0, list[_File]()
    engine = database.engine
    if database.dialect == "postgresql":
        engine = engine.execution_options(isolation_level="REPEATABLE READ")
    part = target.with_suffix(".part")
    with (
        engine.connect() as connection,
        part.open("wb") as raw,
        gzip.open(raw, "wt", encoding="utf-8") as out,
    ):
        tables = _tables(connection)
        schema = connection.scalar(text("SELECT version_num FROM alembic_version"))
        for table in tables.values():
            for record in connection.execution_options(yield_per=1000).execute(select(table)).mappings():
                row = {name: _as_json(value) for name, value in record.items()}
                out.write(json.dumps([table.name, row]) + "\n")
                count += 1
                if file := _file_of(table.name, row):
                    files.append(file)
    with part.open("rb") as written:
        os.fsync(written.fileno())
    part.replace(target)
    fsync_folder(target.parent)
    return count, files, str(schema)


def _tables(connection: Connection) -> dict[str, Table]:
    """Return the tables of the database, each after the tables that it references."""
    metadata = MetaData()
    metadata.reflect(connection)
    return {table.name: table for table in metadata.sorted_tables if table.name not in _OF_THIS_DATABASE}


def _as_json(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC).isoformat() if value.tzinfo is None else value.isoformat()
    return value


def _read_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            table, row = json.loads(line)
            yield table, row


def _insert_rows(connection: Connection, path: Path) -> None:
    tables = _tables(connection)
    waiting: list[dict[str, Any]] = []
    current: Table | None = None
    for name, row in _read_rows(path):
        if name in _OF_THIS_DATABASE:
            continue  # written by a program without this table
        table = tables[name]
        if current is not None and (table is not current or len(waiting) == _INSERTED_AT_ONCE):
            connection.execute(insert(current), waiting)
            waiting = []
        current = table
        waiting.append({column: _from_json(table, column, value) for column, value in row.items()})
    if current is not None and waiting:
        connection.execute(insert(current), waiting)
    if connection.dialect.name == "postgresql":
        for table in (each for each in tables.values() if "id" in each.c):
            longest = connection.scalar(select(func.max(table.c.id)))
            sequence = func.pg_get_serial_sequence(table.name, "id")
            connection.execute(select(func.setval(sequence, longest or 1, longest is not None)))


def _from_json(table: Table, column: str, value: Any) -> Any:
    if value is None or not isinstance(table.c[column].type, DateTime):
        return value
    moment = datetime.fromisoformat(value).astimezone(UTC)
    return moment if getattr(table.c[column].type, "timezone", False) else moment.replace(tzinfo=None)


def _has_rows(database: Database) -> bool:
    with database.read() as session:
        connection = session.connection()
        return any(
            connection.execute(select(table).limit(1)).first() is not None
            for table in _tables(connection).values()
        )


def _file_of(table: str, row: dict[str, Any]) -> _File | None:
    if table in {"instances", "conflicts"}:
        is_removed = row.get("removed_at") is not None
        return None if is_removed else _File(row["path"], row["data_set_sha256"], is_instance=True)
    if table != "documents":
        return None
    if row.get("kept_path"):  # not made yet: its pending draft
        return _File(row["kept_path"], row["kept_sha256"], is_instance=False)
    return _File(row["path"], row["sha256"], is_instance=False)


def _copy_files(
    objects: ObjectStore, target: Path, files: list[_File], progress: Progress
) -> tuple[int, list[str]]:
    """Copy new files. Return the size of the backup's files, in bytes, and the missing ones."""
    size, missing = 0, list[str]()
    for number, file in enumerate(files, start=1):
        copy = target.absolute() / file.path
        if copy.is_file() or _copy_whole(objects, copy, file, target / "tmp"):
            size += copy.stat().st_size
        else:
            missing.append(file.path)
        progress(number, len(files))
    return size, missing


def _copy_whole(objects: ObjectStore, copy: Path, file: _File, temporary: Path) -> bool:
    """Copy a file if it has the digest of its row. Return whether it has."""
    content = _read(objects, file)
    if content is None or not file.is_whole(content):
        return False
    write_durably(copy, (content,), temporary_folder=temporary)
    return True


def _is_there(objects: ObjectStore, file: _File) -> bool:
    content = _read(objects, file) if objects.contains(file.path) else None
    return content is not None and file.is_whole(content)


def _read(objects: ObjectStore, file: _File) -> bytes | None:
    """Return the content of a file; None if it is lost."""
    try:
        return objects.read(file.path)
    except PermanentError:
        return None


def _copy_back(
    source: Path, objects: ObjectStore, files: list[_File], missing: frozenset[str], progress: Progress
) -> None:
    for number, file in enumerate(files, start=1):
        if file.path not in missing and not _is_there(objects, file):
            try:
                content = (source / file.path).read_bytes()
            except FileNotFoundError:
                raise PermanentError(f"the backup lacks {file.path}") from None
            if not file.is_whole(content):
                raise PermanentError(f"the backup's {file.path} is damaged: its digest is another")
            objects.put(file.path, (content,))
        progress(number, len(files))


def _forget_others(folder: Path, wanted: set[str]) -> None:
    """Remove files of an earlier backup that no row names any longer."""
    for suffix in (".dcm", ".hl7", ".json"):
        for path in folder.rglob(f"*{suffix}"):
            if str(path.relative_to(folder)) not in wanted:
                path.unlink()


def data_set_of(part10: bytes) -> bytes:
    """Return the data set, which follows the file meta information (PS3.10 7.1)."""
    if len(part10) < _PREAMBLE_BYTES + _GROUP_LENGTH_BYTES:
        return b""
    (length,) = struct.unpack_from("<L", part10, _PREAMBLE_BYTES + 8)
    return part10[_PREAMBLE_BYTES + _GROUP_LENGTH_BYTES + length :]
