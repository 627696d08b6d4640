"""Studies: instances are recorded, and studies become complete."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import structlog
from sqlalchemy import or_, select

from echo_node.domain.ports import Clock
from echo_node.domain.studies.intake import StoreOutcome
from echo_node.domain.studies.study import InstanceFile, ReceivedInstance
from echo_node.domain.work.kinds import DRAFTING
from echo_node.domain.work.lifecycle import StudyEvent, StudyState
from echo_node.errors import TransientError
from echo_node.storage.database.drafting_order import enqueue
from echo_node.storage.database.engine import Database
from echo_node.storage.database.group_commit import GroupCommit
from echo_node.storage.database.notifications import notify
from echo_node.storage.database.rows import move
from echo_node.storage.database.tables import Instance, SetAsideInstance, Study
from echo_node.storage.ledgers.arrivals import Arrivals, KnownInAnotherStudy, Overtaken

log = structlog.get_logger()

_BATCH = 100
_ROUNDS = 6  # absent → stored, perhaps in another study → set aside, perhaps exchanged


class Studies:
    """Ledger of studies and instances. Implements the IntakeLedger and CompletionLedger ports.

    Args:
        database: database of the rows.
        clock: source of time.
        debounce_s: function from a calling AE title to the time without arrivals, in seconds, after
            which its studies are complete.
        maximum_wait_s: time after the first instance of a revision when a study is complete in any
            case, in seconds.
        is_urgent: predicate on a calling AE title: whether its studies are urgent.
        subject_of: function from the path of a stored instance to its subject.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        debounce_s: Callable[[str], float],
        maximum_wait_s: float,
        is_urgent: Callable[[str], bool] = lambda calling: False,
        subject_of: Callable[[str], str] = lambda path: "",
    ) -> None:
        self._database = database
        self._commits = GroupCommit(database)
        self._clock = clock
        self.arrivals = Arrivals(debounce_s, timedelta(seconds=maximum_wait_s), is_urgent, subject_of)

    def note_resend(self, received: ReceivedInstance, digest: str) -> bool:
        """Return whether an instance is stored already, and record that it came again."""
        with self._database.read() as session:
            if not self.arrivals.is_resend(session, received, digest):
                return False
        with self._database.write() as session:
            self.arrivals.note_resend(session, received, self._clock.now())
        return True

    def record(self, received: ReceivedInstance, file: InstanceFile) -> StoreOutcome:
        """Commit an instance, and move its study (see domain.studies.intake.IntakeLedger)."""
        locking = received.identity.study_instance_uid
        for _ in range(_ROUNDS):
            try:
                return self._record(received, file, locking)
            except KnownInAnotherStudy as known:
                locking = known.study_instance_uid
            except Overtaken:
                continue
        raise TransientError("too many senders of one instance at the same time")

    def _record(self, received: ReceivedInstance, file: InstanceFile, locking: str) -> StoreOutcome:
        now = self._clock.now()
        outcome, study_id, revision = self._commits.run(
            locking, lambda session: self.arrivals.add(session, received, file, now, locking)
        )
        if outcome is StoreOutcome.CONFLICT:
            log.warning(
                "instance_set_aside",
                study_id=study_id,
                revision=revision,
                peer=received.calling_ae_title,
                reason="other content under a known SOP Instance UID",
            )
        elif outcome is StoreOutcome.STORED:
            log.info("instance_recorded", study_id=study_id, revision=revision)
        return outcome

    def refers_to(self, file: InstanceFile) -> bool:
        """Return whether a row names this file."""
        with self._database.read() as session:
            path = str(file.path)
            instance = session.scalar(select(Instance.id).where(Instance.path == path))
            conflict = session.scalar(select(SetAsideInstance.id).where(SetAsideInstance.path == path))
            return instance is not None or conflict is not None

    def complete_due(self) -> Sequence[int]:
        """Complete every study that is due, and enqueue its job in the same transaction."""
        completed: list[int] = []
        while batch := self._complete_batch(self._clock.now()):
            completed += batch
        return completed

    def _complete_batch(self, now: datetime) -> list[int]:
        is_due = (Study.state == StudyState.RECEIVING, or_(Study.due_at <= now, Study.force_at <= now))
        with self._database.read() as session:
            if session.scalar(select(Study.id).where(*is_due).limit(1)) is None:
                return []
        with self._database.write() as session:
            due = select(Study).where(*is_due).order_by(Study.due_at).limit(_BATCH)
            studies = session.scalars(due.with_for_update(skip_locked=True)).all()
            for study in studies:
                move(study, StudyEvent.COMPLETED, now)
                enqueue(session, study, now)
            notify(session, DRAFTING.topic)
            completed = [(study.id, study.revision) for study in studies]
        for study_id, revision in completed:
            log.info("study_complete", study_id=study_id, revision=revision)
        return [study_id for study_id, _ in completed]
