"""Tables of the database, as mapped classes.

The only patient data here are the UIDs of DICOM objects. Rows refer to one another by surrogate
ids, and only those reach logs. Paths are relative to the data folder.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    ColumnElement,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    MetaData,
    String,
    UniqueConstraint,
    false,
    func,
    text,
)
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

from echo_node.domain.work.commitment import CommitmentRequestState, CommitmentState
from echo_node.domain.work.hold import Decision, HoldEnding
from echo_node.domain.work.job import DeliveryState, JobState
from echo_node.domain.work.kinds import WorkKind
from echo_node.domain.work.lifecycle import StudyState
from echo_node.domain.work.withdrawal import WithdrawalReason, WithdrawalState

_UID = String(128)


class UtcDateTime(TypeDecorator[datetime]):
    """Aware time in UTC: `timestamptz` on PostgreSQL, UTC without a zone on SQLite."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return *value* in UTC; a naive time is a defect in the node."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a time zone")
        in_utc = value.astimezone(UTC)
        return in_utc.replace(tzinfo=None) if dialect.name == "sqlite" else in_utc

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        """Return *value* aware."""
        if not isinstance(value, datetime):
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class _State(TypeDecorator[StrEnum]):
    """StrEnum stored as its text, so that rows are readable and new states need no migration."""

    impl = String(32)
    cache_ok = True

    def __init__(self, states: type[StrEnum]) -> None:
        super().__init__(32)
        self._states = states

    def process_bind_param(self, value: StrEnum | None, dialect: Dialect) -> str | None:
        """Return the text of a state; another text is a defect in the node."""
        return None if value is None else str(self._states(value))

    def process_result_value(self, value: Any | None, dialect: Dialect) -> StrEnum | None:
        """Return the state of a text."""
        return None if value is None else self._states(value)


class Base(DeclarativeBase):
    """Root of the mapped classes."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: UtcDateTime(),
        StudyState: _State(StudyState),
        JobState: _State(JobState),
        DeliveryState: _State(DeliveryState),
        CommitmentState: _State(CommitmentState),
        CommitmentRequestState: _State(CommitmentRequestState),
        WithdrawalReason: _State(WithdrawalReason),
        WithdrawalState: _State(WithdrawalState),
        Decision: _State(Decision),
        HoldEnding: _State(HoldEnding),
        list[str]: JSON(),
    }


class Study(Base):
    """Study. `revision` begins at 1 and counts up when images arrive after it was complete."""

    __tablename__ = "studies"
    __table_args__ = (Index(None, "state", "due_at"), Index(None, "state", "force_at"))

    id: Mapped[int] = mapped_column(primary_key=True)
    study_instance_uid: Mapped[str] = mapped_column(_UID, unique=True)
    state: Mapped[StudyState]
    revision: Mapped[int]
    reason: Mapped[str | None]
    calling_ae_title: Mapped[str] = mapped_column(String(16))
    due_at: Mapped[datetime]
    force_at: Mapped[datetime]
    received_at: Mapped[datetime]
    changed_at: Mapped[datetime]
    urgent: Mapped[bool] = mapped_column(server_default=false(), default=False)


class Instance(Base):
    """SOP instance as it arrived first. Its file is durable until retention removes it."""

    __tablename__ = "instances"
    __table_args__ = (
        Index(
            "ix_instances_kept",
            "study_id",
            sqlite_where=text("removed_at IS NULL"),
            postgresql_where=text("removed_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey(Study.id), index=True)
    revision: Mapped[int]
    series_instance_uid: Mapped[str] = mapped_column(_UID)
    sop_instance_uid: Mapped[str] = mapped_column(_UID, unique=True)
    sop_class_uid: Mapped[str] = mapped_column(_UID)
    transfer_syntax_uid: Mapped[str] = mapped_column(_UID)
    data_set_sha256: Mapped[str] = mapped_column(String(64))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    path: Mapped[str] = mapped_column(String(255), unique=True)
    calling_ae_title: Mapped[str] = mapped_column(String(16))
    received_at: Mapped[datetime]
    removed_at: Mapped[datetime | None]
    excluded_at: Mapped[datetime | None]


class SetAsideInstance(Base):
    """Other content under the SOP Instance UID of a stored instance, set aside for the operator.

    With a `resolution` it has no effect any longer: `keep` if the stored instance stays, `replace`
    if it was itself the stored instance until a newer object took its place. Rows of earlier
    program versions have no UIDs of their own except that of the study.
    """

    __tablename__ = "conflicts"
    __table_args__ = (UniqueConstraint("instance_id", "data_set_sha256"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    instance_id: Mapped[int] = mapped_column(ForeignKey(Instance.id), index=True)
    study_instance_uid: Mapped[str] = mapped_column(_UID, index=True)
    series_instance_uid: Mapped[str | None] = mapped_column(_UID)
    sop_class_uid: Mapped[str | None] = mapped_column(_UID)
    transfer_syntax_uid: Mapped[str | None] = mapped_column(_UID)
    data_set_sha256: Mapped[str] = mapped_column(String(64))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    path: Mapped[str] = mapped_column(String(255), unique=True)
    calling_ae_title: Mapped[str] = mapped_column(String(16))
    received_at: Mapped[datetime]
    removed_at: Mapped[datetime | None]
    resolution: Mapped[Decision | None]


class Hold(Base):
    """Hold of a study, from `since` to `ended_at`: an operator decides about a contradiction.

    `attributes` are the DICOM keywords that differ. `newer` and `older` are digests of objects, see
    domain.work.withdrawal.IdentityConflict. `ended_by` is the operator's login, or empty for the
    node itself.
    """

    __tablename__ = "holds"
    __table_args__ = (
        UniqueConstraint("study_id", "revision"),
        Index(
            "ix_holds_open",
            "study_id",
            sqlite_where=text("ending IS NULL"),
            postgresql_where=text("ending IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey(Study.id))
    revision: Mapped[int]
    explanation: Mapped[str]
    attributes: Mapped[list[str]]
    newer: Mapped[list[str]]
    older: Mapped[list[str]]
    since: Mapped[datetime]
    ending: Mapped[HoldEnding | None]
    ended_by: Mapped[str | None] = mapped_column(String(128))
    ended_at: Mapped[datetime | None]


class Claimable:
    """Columns of work that is claimed (see domain.work.job.Lease)."""

    if TYPE_CHECKING:  # each table has its own states
        __tablename__: str
        state: Mapped[Any]

    id: Mapped[int] = mapped_column(primary_key=True)
    attempt: Mapped[int] = mapped_column(default=0)
    tries: Mapped[int] = mapped_column(default=0)
    holder: Mapped[str | None] = mapped_column(String(128))
    lease_expires_at: Mapped[datetime | None]
    available_at: Mapped[datetime]
    reason: Mapped[str | None]
    created_at: Mapped[datetime]
    changed_at: Mapped[datetime]


class Job(Claimable, Base):
    """Job that drafts one revision of a study.

    Jobs are claimed by `precedence` (0 urgent, 1 routine), then by `turn`, which lets senders take
    turns. `losses` counts the workers that died with the job.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        UniqueConstraint("study_id", "revision"),
        Index(None, "state", "available_at"),
        Index(None, "state", "precedence", "turn"),
        Index(None, "state", "calling_ae_title", "turn"),
        Index(None, "turn"),
    )

    study_id: Mapped[int] = mapped_column(ForeignKey(Study.id))
    revision: Mapped[int]
    state: Mapped[JobState]
    precedence: Mapped[int] = mapped_column(server_default="1", default=1)
    turn: Mapped[int] = mapped_column(BigInteger, server_default="0", default=0)
    calling_ae_title: Mapped[str] = mapped_column(String(16), server_default="", default="")
    losses: Mapped[int] = mapped_column(server_default="0", default=0)


class Document(Base):
    """Encoded draft, or note of a withdrawal. Its file never changes.

    A form that could not be made with the draft's other forms has an empty `path` and `sha256`, and
    the path of the pending draft from which it can be made (`kept_path`); see
    storage/ledgers/forms.py. A note has the revision of its withdrawal. It has no model, so its
    model is this program, with a digest of the note's UID.
    """

    __tablename__ = "documents"
    __table_args__ = (UniqueConstraint("study_id", "revision", "model_digest", "kind"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey(Study.id))
    revision: Mapped[int]
    model_name: Mapped[str] = mapped_column(String(128))
    model_version: Mapped[str] = mapped_column(String(64))
    model_digest: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(64))
    sop_instance_uid: Mapped[str] = mapped_column(_UID, unique=True)
    sop_class_uid: Mapped[str] = mapped_column(_UID)
    transfer_syntax_uid: Mapped[str] = mapped_column(_UID)
    sha256: Mapped[str] = mapped_column(String(64))
    path: Mapped[str] = mapped_column(String(255), index=True)
    selection_sha256: Mapped[str] = mapped_column(String(64))
    input_sop_instance_uids: Mapped[list[str]]
    created_at: Mapped[datetime]
    kept_path: Mapped[str | None] = mapped_column(String(255), index=True)
    kept_sha256: Mapped[str | None] = mapped_column(String(64))

    @hybrid_property
    def object_path(self) -> str:
        """Path of its present object: its own file, or the pending draft."""
        return self.kept_path or self.path

    @object_path.inplace.expression
    @classmethod
    def _object_path(cls) -> ColumnElement[str]:
        return func.coalesce(cls.kept_path, cls.path)


class Delivery(Claimable, Base):
    """Delivery of a document to one destination (configured name of a peer)."""

    __tablename__ = "deliveries"
    __table_args__ = (UniqueConstraint("document_id", "destination"), Index(None, "state", "available_at"))

    document_id: Mapped[int] = mapped_column(ForeignKey(Document.id))
    destination: Mapped[str] = mapped_column(String(128))
    state: Mapped[DeliveryState]
    status: Mapped[int | None]


class Withdrawal(Claimable, Base):
    """Withdrawal of a study's drafts up to a revision, at `created_at`.

    `asked_by` is the operator's login, or empty if the node itself found a conflict.
    """

    __tablename__ = "withdrawals"
    __table_args__ = (UniqueConstraint("study_id", "revision"), Index(None, "state", "available_at"))

    study_id: Mapped[int] = mapped_column(ForeignKey(Study.id))
    revision: Mapped[int]
    state: Mapped[WithdrawalState]
    rejection: Mapped[WithdrawalReason]
    explanation: Mapped[str]
    asked_by: Mapped[str] = mapped_column(String(128))


class CommitmentQuestion(Claimable):
    """Columns of a question of storage commitment; `transaction_uid` changes with each asking."""

    transaction_uid: Mapped[str | None] = mapped_column(_UID, unique=True)


class Commitment(CommitmentQuestion, Base):
    """Question whether a destination commits to a document that it received (PS3.4 Annex J)."""

    __tablename__ = "commitments"
    __table_args__ = (Index(None, "state", "available_at"),)

    delivery_id: Mapped[int] = mapped_column(ForeignKey(Delivery.id), unique=True)
    state: Mapped[CommitmentState]


class ModalityRequest(CommitmentQuestion, Base):
    """Storage commitment request of a modality (PS3.4 Annex J), about which the archive is asked.

    `request_uid` is the modality's Transaction UID, and `transaction_uid` that of our question to
    the archive. `archive` is the peer that was asked last.
    """

    __tablename__ = "promises"
    __table_args__ = (
        UniqueConstraint("calling_ae_title", "request_uid"),
        Index(None, "state", "available_at"),
    )

    state: Mapped[CommitmentRequestState]
    calling_ae_title: Mapped[str] = mapped_column(String(16))
    called_ae_title: Mapped[str] = mapped_column(String(16))
    request_uid: Mapped[str] = mapped_column(_UID)
    archive: Mapped[str | None] = mapped_column(String(128))


class RequestedInstance(Base):
    """Instance that a modality asks about; the node need not have it.

    `status` is None until it is known, 0 if the archive committed to it, else the failure reason
    (domain.work.commitment).
    """

    __tablename__ = "promised_instances"
    __table_args__ = (UniqueConstraint("promise_id", "sop_instance_uid", "sop_class_uid"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    request_id: Mapped[int] = mapped_column("promise_id", ForeignKey(ModalityRequest.id))
    sop_class_uid: Mapped[str] = mapped_column(_UID)
    sop_instance_uid: Mapped[str] = mapped_column(_UID, index=True)
    status: Mapped[int | None]


def table_of(kind: WorkKind) -> type[Claimable]:
    """Return the mapped class of a kind of work."""
    for mapper in Base.registry.mappers:
        table: type[Base] = mapper.class_
        if table.__tablename__ == kind.table and issubclass(table, Claimable):
            return table
    raise LookupError(f"no class is mapped to the table {kind.table}")


class SchemaSupport(Base):
    """Oldest schema version whose program can still use this schema; one row."""

    __tablename__ = "schema_support"

    oldest: Mapped[str] = mapped_column(String(32), primary_key=True)


class NodeIdentity(Base):
    """Id of the node that owns this database; one row, which no backup contains."""

    __tablename__ = "node_identity"

    one: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    node: Mapped[str] = mapped_column(String(36))
    made_at: Mapped[datetime]


class Pause(Base):
    """Pause of work by an operator."""

    __tablename__ = "pauses"

    what: Mapped[str] = mapped_column(String(32), primary_key=True)
    reason: Mapped[str]
    since: Mapped[datetime]
