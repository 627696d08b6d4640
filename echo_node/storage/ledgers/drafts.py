"""Drafts: everything that a drafting job reads, and the one transaction that ends it."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog
from sqlalchemy import select

from echo_node.domain.drafts.draft import Unmade
from echo_node.domain.drafts.report import EncodedDocument
from echo_node.domain.identifiers import document_uid
from echo_node.domain.ports import Clock
from echo_node.domain.work.drafting import DraftOutcome, NewDraft, OtherContent, StudySnapshot, Unchanged
from echo_node.domain.work.job import DraftJob, JobState
from echo_node.domain.work.lifecycle import StudyEvent, StudyState
from echo_node.domain.work.withdrawal import IdentityConflict, StandingDrafts
from echo_node.storage.database.claims import Claims
from echo_node.storage.database.engine import Database
from echo_node.storage.database.rows import lock_study, move
from echo_node.storage.database.tables import Document, Instance, Job, SetAsideInstance
from echo_node.storage.ledgers import pending_drafts
from echo_node.storage.ledgers.documents import add_deliveries, readable, settle
from echo_node.storage.ledgers.resolutions import Resolutions, lock_with_others, unresolved
from echo_node.storage.ledgers.withdrawn import standing_drafts
from echo_node.storage.objects.outbox import Outbox
from echo_node.storage.objects.spool import set_aside_instance, stored_instance
from echo_node.storage.objects.store import ObjectStore

log = structlog.get_logger()

_UNCHANGED = "the same images as the earlier draft"


class Drafts:
    """Implements the DraftLedger port.

    Args:
        database: storage of rows.
        objects: storage of instances.
        outbox: storage of documents.
        clock: source of time.
        claims: claims on jobs.
        resolutions: holds studies.
        destinations: kinds of document that each peer gets, by the peer's name.
    """

    def __init__(
        self,
        database: Database,
        objects: ObjectStore,
        outbox: Outbox,
        clock: Clock,
        claims: Claims[Job],
        resolutions: Resolutions,
        *,
        destinations: Mapping[str, Collection[str]],
    ) -> None:
        self._database = database
        self._objects = objects
        self._outbox = outbox
        self._clock = clock
        self._claims = claims
        self._resolutions = resolutions
        self._destinations = destinations

    @contextmanager
    def open(self, job: DraftJob) -> Iterator[StudySnapshot]:
        """Yield the state of the job's study, with its files available until the block ends."""
        rows = self._rows(job)
        documents = rows.standing
        made = [row for row in documents if row.kept_path is None]
        latest = documents[-1].revision if documents else 0
        standing = [row for row in made if row.revision == latest]
        earlier = {row.kind: row for row in made if row.revision < job.revision}
        contents = {
            row.id: readable(self._outbox, row, job.study_instance_uid)
            for row in {row.id: row for row in (*standing, *earlier.values())}.values()
        }
        predecessors = {kind: contents[row.id] for kind, row in earlier.items()}
        files = [row.path for row in rows.instances], [row.path for row, _ in rows.set_aside]
        with self._objects.local_paths(files[0]) as paths, self._objects.local_paths(files[1]) as aside:
            yield StudySnapshot(
                tuple(
                    stored_instance(row, job.study_instance_uid, path)
                    for row, path in zip(rows.instances, paths, strict=True)
                ),
                StandingDrafts(
                    tuple(each for row in standing if (each := contents[row.id]) is not None),
                    rows.late,
                    frozenset(uid for row in standing for uid in row.input_sop_instance_uids),
                ),
                documents[-1].selection_sha256 if documents else None,
                {kind: each for kind, each in predecessors.items() if each is not None},
                tuple(
                    OtherContent(set_aside_instance(row, kept, path), kept.sop_instance_uid)
                    for (row, kept), path in zip(rows.set_aside, aside, strict=True)
                ),
            )

    def finish(self, job: DraftJob, outcome: DraftOutcome) -> None:
        """End the job with its outcome: a new draft is durable when this returns."""
        match outcome:
            case NewDraft():
                self._store(job, outcome)
            case Unchanged():
                self._keep_earlier(job)
            case IdentityConflict():
                self._hold(job, outcome)

    def _rows(self, job: DraftJob) -> _Rows:
        """Return the rows of the job's study, from one transaction."""
        documents = standing_drafts(job.study_id).order_by(Document.revision, Document.id)
        instances = (
            select(Instance)
            .where(Instance.study_id == job.study_id, Instance.excluded_at.is_(None))
            .order_by(Instance.id)
        )
        aside = unresolved(job.study_id).add_columns(Instance).order_by(SetAsideInstance.id)
        with self._database.read() as session:
            drafted = session.scalars(documents).all()
            received = session.scalars(instances).all()
            set_aside = [(row, kept) for row, kept in session.execute(aside)]
            session.expunge_all()
        latest = drafted[-1].revision if drafted else job.revision
        late = frozenset(row.sop_instance_uid for row in received if row.revision > latest)
        return _Rows([row for row in received if row.removed_at is None], set_aside, drafted, late)

    def _hold(self, job: DraftJob, conflict: IdentityConflict) -> None:
        """End the job without a draft, hold the study, and withdraw the standing drafts."""
        now = self._clock.now()
        with self._database.write() as session:
            study = lock_with_others(session, job.study_id, conflict.newer)
            self._claims.end(session, job.lease, now, state=JobState.SKIPPED, reason=conflict.explanation)
            had_draft = self._resolutions.hold(session, study, now, conflict)
            is_decided, revision = study.state is StudyState.QUEUED, study.revision
        reason = conflict.explanation
        if had_draft:
            log.warning("study_withdrawn", study_id=job.study_id, revision=job.revision, reason=reason)
        else:
            log.warning("study_held", study_id=job.study_id, revision=job.revision, reason=reason)
        if is_decided:
            log.info("study_resolved", study_id=job.study_id, revision=revision, outcome="replace")

    def _keep_earlier(self, job: DraftJob) -> None:
        """End the job without a new draft: the earlier one still stands."""
        now = self._clock.now()
        with self._database.write() as session:
            study = lock_study(session, job.study_id)
            self._claims.end(session, job.lease, now, state=JobState.DONE, reason=_UNCHANGED)
            move(study, StudyEvent.UNCHANGED, now)
            settle(session, study, now)

    def _store(self, job: DraftJob, draft: NewDraft) -> None:
        """Store the documents; then end the job and create the deliveries, all or nothing."""
        pending = _Pending.of(draft.unmade) if draft.unmade else None
        with self._outbox.write() as files:
            paths = [files.put(document) for document in draft.documents]
            kept = files.keep(pending.documents[0].sop_instance_uid, pending.content) if pending else None
            document_ids = self._record(job, draft, paths, pending, kept)
        for document_id in document_ids:
            log.info("draft_stored", study_id=job.study_id, revision=job.revision, document_id=document_id)

    def _record(
        self,
        job: DraftJob,
        draft: NewDraft,
        paths: Sequence[Path],
        pending: _Pending | None,
        kept: Path | None,
    ) -> Sequence[int]:
        now = self._clock.now()
        with self._database.write() as session:
            study = lock_study(session, job.study_id)
            self._claims.end(session, job.lease, now, state=JobState.DONE)
            made_of = {
                "study_id": job.study_id,
                "revision": job.revision,
                "model_name": draft.model.name,
                "model_version": draft.model.version,
                "model_digest": draft.model.digest,
                "selection_sha256": draft.selection.digest,
                "input_sop_instance_uids": draft.selection.sop_instance_uids,
                "created_at": now,
            }
            rows = [
                Document(**made_of, **_naming(document), sha256=_digest(document.content), path=str(path))
                for document, path in zip(draft.documents, paths, strict=True)
            ]
            unmade = [
                Document(
                    **made_of, **_naming(document), sha256="", path="",
                    kept_path=str(kept), kept_sha256=_digest(pending.content),
                )
                for document in pending.documents
            ] if pending else []  # fmt: skip
            session.add_all([*rows, *unmade])
            session.flush()
            for row in rows:
                add_deliveries(session, row, self._destinations, now)
            for row in unmade:
                reason = f"{row.kind} could not be made: {pending.reasons[row.kind]}" if pending else ""
                add_deliveries(session, row, self._destinations, now, dead_because=reason)
            move(study, StudyEvent.DRAFT_STORED, now)
            settle(session, study, now)
            return [row.id for row in rows]


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows of a study at the beginning of a job.

    Attributes:
        instances: its instances that have a file and were not excluded.
        set_aside: what contends with one of its instances, and that instance.
        standing: its documents that were not withdrawn, in the order of their revisions.
        late: SOP Instance UIDs of the images that arrived after the last of those.
    """

    instances: Sequence[Instance]
    set_aside: Sequence[tuple[SetAsideInstance, Instance]]
    standing: Sequence[Document]
    late: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Pending:
    """A draft whose missing forms can be made later: those forms, without content, and reasons."""

    documents: tuple[EncodedDocument, ...]
    reasons: Mapping[str, str]
    content: bytes

    @classmethod
    def of(cls, unmade: Unmade) -> _Pending:
        draft = unmade.draft
        digest, inputs = draft.report.model.digest, draft.selection.sop_instance_uids
        documents = [
            EncodedDocument(
                kind,
                draft.study_instance_uid,
                document_uid(draft.study_instance_uid, draft.revision, digest, kind, inputs),
                "",
                "",
                b"",
            )
            for kind in unmade.reasons
        ]
        return cls(tuple(documents), unmade.reasons, pending_drafts.encoded(draft))


def _naming(document: EncodedDocument) -> dict[str, str]:
    return {
        "kind": document.kind,
        "sop_instance_uid": document.sop_instance_uid,
        "sop_class_uid": document.sop_class_uid,
        "transfer_syntax_uid": document.transfer_syntax_uid,
    }


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
