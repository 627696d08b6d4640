"""Retention: the images of finished studies leave the spool, by age or when the disk fills; rows stay.

Nothing that is still to be drafted, delivered or committed to is ever removed, nor what a modality waits for
an answer about, nor what was set aside for the operator.
A file goes only after its row says so, durably: a crash between the two leaves an orphan for the sweep,
never a row whose file is missing without a word.
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
from echo_node.storage.database.tables import Instance, Study
from echo_node.storage.objects.ownership import Ownership
from echo_node.storage.objects.spool import Spool
from echo_node.storage.queues.commitment_requests import open_requests_about
from echo_node.storage.queues.commitments import open_commitments_of

log = structlog.get_logger()

FINISHED = (StudyState.DELIVERED, StudyState.SKIPPED, StudyState.WITHDRAWN)
"""The states in which a study's images have served their purpose."""

_FILES = 0x6563686F
"""The number of the advisory lock: "echo", so that it is no other program's."""


class Retention:
    """The sweep that removes images.

    Args:
        database: where rows are kept.
        spool: where images are kept.
        clock: the time.
        settings: when images go.
        data_dir: the folder of the lock that a backup holds, if the database has none.
        ownership: whose the images are.
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
        """Remove what may go and should; return of how many studies. While a backup runs nothing goes.

        Raises:
            ConfigError: the images are another database's.
            TransientError: database or object store cannot be reached.
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
        kept = exists().where(Instance.study_id == Study.id, Instance.removed_at.is_(None))
        query = (
            select(Study.id)
            .where(Study.state.in_(FINISHED), Study.changed_at < before, kept)
            .where(~open_commitments_of(Study.id).exists(), ~open_requests_about(Study.id).exists())
            .order_by(Study.changed_at, Study.id)
            .limit(1)
        )
        with self._database.read() as session:
            return session.scalar(query)

    def _remove(self, study_id: int) -> int:
        """Remove the images of a study, unless it has begun a new revision meanwhile; return 1 if so."""
        self._ownership.claim()
        with self._database.write() as session:
            study = lock_study(session, study_id)
            if study.state not in FINISHED or any(
                session.scalar(is_needed(study_id).limit(1))
                for is_needed in (open_commitments_of, open_requests_about)
            ):
                return 0
            paths = session.scalars(
                update(Instance)
                .where(Instance.study_id == study_id, Instance.removed_at.is_(None))
                .values(removed_at=self._clock.now())
                .returning(Instance.path)
            ).all()
        for path in paths:
            self._spool.remove(path)
        log.info("images_removed", study_id=study_id, count=len(paths))
        return 1


@contextmanager
def keeping_files(database: Database, data_dir: Path, *, shared: bool) -> Iterator[bool]:
    """Hold the lock that decides whether files may go; tell whether it could be had.

    On PostgreSQL it is the server's, for all machines, and ends with its connection. With SQLite, which is
    for one machine, it is a file's.

    Args:
        database: where rows are kept.
        data_dir: the data folder.
        shared: so that no file goes, as any number may want; else to remove files.

    Raises:
        TransientError: the database cannot be reached.
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
