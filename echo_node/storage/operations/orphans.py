"""Orphans: objects that no row refers to, and files that killed processes left half-written.

An orphan is left behind if a process dies between writing a file and committing its row, or if the
answer to a commit is lost. Only the owner of the object store removes orphans, and only old ones: a
row may be about to name a younger object.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import structlog
from sqlalchemy import select

from echo_node.storage.database.engine import Database
from echo_node.storage.database.tables import Document, Instance, SetAsideInstance
from echo_node.storage.objects.outbox import Outbox
from echo_node.storage.objects.ownership import Ownership
from echo_node.storage.objects.spool import Spool
from echo_node.storage.objects.store import SPOOL, ObjectStore, area_of

log = structlog.get_logger()

_AGE_S = 3600.0
"""Minimum age of an orphan, in seconds."""
_CHUNK = 500


class Orphans:
    """Finds and removes orphans.

    Args:
        database: database of the rows.
        objects: store of the objects.
        spool: area of the received instances.
        outbox: area of the documents.
        ownership: check that the store belongs to this database.
    """

    def __init__(
        self, database: Database, objects: ObjectStore, spool: Spool, outbox: Outbox, ownership: Ownership
    ) -> None:
        self._database = database
        self._objects = objects
        self._spool = spool
        self._outbox = outbox
        self._ownership = ownership

    def sweep(self, age_s: float = _AGE_S) -> int:
        """Remove half-written files and orphans; return the number removed.

        Args:
            age_s: minimum age of an orphan, in seconds.

        Raises:
            ConfigError: the objects belong to another database; no orphan was removed.
            TransientError: the database or the object store is unreachable.
        """
        removed = self.clear_half_written()
        owner = self._ownership.claim()
        return removed + self.remove(age_s, owner.spared_before)

    def find(self, age_s: float = _AGE_S) -> Iterator[str]:
        """Yield the names of the orphans that are at least *age_s* seconds old.

        Raises:
            TransientError: the database or the object store is unreachable.
        """
        for chunk in self._chunks(age_s, None):
            yield from chunk

    def remove(self, age_s: float = _AGE_S, not_before: float | None = None) -> int:
        """Remove orphans; return the number removed.

        Args:
            age_s: minimum age, in seconds.
            not_before: time by the store's clock; objects from before it stay.

        Raises:
            ConfigError: the objects belong to another database.
            TransientError: the database or the object store is unreachable.
        """
        removed = 0
        for chunk in self._chunks(age_s, not_before):
            self._ownership.claim()
            for path in chunk:
                (self._spool if area_of(path) == SPOOL else self._outbox).remove_orphan(path)
            removed += len(chunk)
        return removed

    def clear_half_written(self) -> int:
        """Remove half-written files of killed processes on this machine; return their number."""
        removed = self._objects.clear_leftovers()
        if removed:
            log.info("leftovers_removed", kind="spool", count=removed)
        return removed

    def _chunks(self, age_s: float, not_before: float | None) -> Iterator[list[str]]:
        old = self._objects.older_than(age_s, not_before)
        while chunk := list(islice(old, _CHUNK)):
            named = (
                select(Instance.path).where(Instance.path.in_(chunk), Instance.removed_at.is_(None)),
                select(SetAsideInstance.path).where(SetAsideInstance.path.in_(chunk)),
                select(Document.path).where(Document.path.in_(chunk)),
                select(Document.kept_path).where(Document.kept_path.in_(chunk)),
            )
            with self._database.read() as session:
                known = {path for query in named for path in session.scalars(query)}
            if unknown := sorted(set(chunk) - known):
                yield unknown
