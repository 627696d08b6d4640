"""Retention: removes the images of finished studies, by age or when the disk fills. Rows stay.

Images stay while a study waits for its draft, a delivery, a commitment or an operator's decision,
or while a modality waits for an answer about them. Instances that were set aside for the operator,
or excluded by one, always stay. A row records
the removal durably before its file goes. A crash between the two leaves an orphan for the sweep,
and never a row whose file is missing.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import structlog
from sqlalchemy import exists, select, update

from echo_node.domain.ports import Clock
from echo_node.domain.work.lifecycle import StudyState
from echo_node.settings import RetentionSettings
from echo_node.storage.database.engine import Database
from echo_node.storage.database.rows import lock_study
from echo_node.storage.database.tables import Hold, Instance, Study
from echo_node.storage.ledgers.holds import open_hold
from echo_node.storage.objects.ownership import Ownership
from echo_node.storage.objects.spool import Spool
from echo_node.storage.queues.commitment_requests import open_requests_about
from echo_node.storage.queues.commitments import open_commitments_of

log = structlog.get_logger()

FINISHED = (StudyState.DELIVERED, StudyState.SKIPPED, StudyState.WITHDRAWN)
"""States of studies whose images are no longer needed."""

_MAY_GO = (Instance.removed_at.is_(None), Instance.excluded_at.is_(None))
"""Conditions that an instance has a file that retention may remove."""

_FILES = 0x6563686F
"""Number of the advisory lock: "echo", so that no other program uses it."""


class Retention:
    """Sweep that removes images.

    Args:
        database: database of the rows.
        spool: store of the images.
        clock: source of time.
        settings: limits of age and of disk use.
        data_dir: folder of the lock that a backup holds, if the database has no locks.
        ownership: check that the images belong to this database.
    """

    def __init__(
        self,
        database: Database,
        spool: Spool,
        clock: Clock,
        settings: RetentionSettings,
        data_dir: Path,
        ownership: Ownership,
    ) -> None:
        self._database = database
        self._spool = spool
        self._clock = clock
        self._settings = settings
        self._data_dir = data_dir
        self._ownership = ownership

    def __call__(self) -> int:
        """Remove images of expired studies, except during a backup; return the number of studies.

        Raises:
            ConfigError: the images belong to another database.
            TransientError: the database or the object store is unreachable.
        """
        if not (self._settings.keep_days or self._settings.maximum_disk_share):
            return 0
        with keeping_files(self._database, self._data_dir, shared=False) as is_ours:
            if not is_ours:
                return 0
            return self._remove_old() + self._remove_for_room()

    def _remove_old(self) -> int:
        if not self._settings.keep_days:
            return 0
        before, removed = self._clock.now() - timedelta(days=self._settings.keep_days), 0
        while (study_id := self._finished_first(before)) is not None:
            removed += self._remove(study_id)
        return removed

    def _remove_for_room(self) -> int:
        share, removed = self._settings.maximum_disk_share, 0
        while share and self._spool.used_share > share:
            study_id = self._finished_first(self._clock.now())
            if study_id is None:
                log.warning("disk_fuller_than_wanted", kind="spool", count=removed)
                break
            removed += self._remove(study_id)
        return removed

    def _finished_first(self, before: datetime) -> int | None:
        kept = exists().where(Instance.study_id == Study.id, *_MAY_GO)
        waits = exists().where(Hold.study_id == Study.id, Hold.ending.is_(None))
        query = (
            select(Study.id)
            .where(Study.state.in_(FINISHED), Study.changed_at < before, kept, ~waits)
            .where(~open_commitments_of(Study.id).exists(), ~open_requests_about(Study.id).exists())
            .order_by(Study.changed_at, Study.id)
            .limit(1)
        )
        with self._database.read() as session:
            return session.scalar(query)

    def _remove(self, study_id: int) -> int:
        """Remove a study's images, unless they are needed again; return the number of studies."""
        self._ownership.claim()
        with self._database.write() as session:
            study = lock_study(session, study_id)
            if (
                study.state not in FINISHED
                or open_hold(session, study_id)
                or any(
                    session.scalar(is_needed(study_id).limit(1))
                    for is_needed in (open_commitments_of, open_requests_about)
                )
            ):
                return 0
            paths = session.scalars(
                update(Instance)
                .where(Instance.study_id == study_id, *_MAY_GO)
                .values(removed_at=self._clock.now())
                .returning(Instance.path)
            ).all()
        for path in paths:
            self._spool.remove(path)
        log.info("images_removed", study_id=study_id, count=len(paths))
        return 1


@contextmanager
def keeping_files(database: Database, data_dir: Path, *, shared: bool) -> Iterator[bool]:
    """Hold the lock on the removal of files. Yield whether it is held.

    On PostgreSQL the server holds the lock, for all machines, and it ends with its connection. On
    SQLite, which serves one machine, it is the lock of a file.

    Args:
        database: database of the rows.
        data_dir: data folder.
        shared: prevent removal, together with any number of other holders; otherwise remove files.

    Raises:
        TransientError: the database is unreachable.
    """
    if database.dialect == "postgresql":
        with database.server_lock(_FILES, shared=shared) as is_held:
            yield is_held
        return
    folder = data_dir / "run"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "files.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
