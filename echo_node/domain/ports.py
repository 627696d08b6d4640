"""Ports: what the pipeline needs from other packages. roles/ and wiring/ connect them."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol, TypeVar

from echo_node.domain.drafts.comparison import Comparison
from echo_node.domain.drafts.draft import Draft, UnmadeForm
from echo_node.domain.drafts.report import EncodedDocument, ModelIdentity, Report
from echo_node.domain.drafts.subject import Subject
from echo_node.domain.studies.appearance import Sight
from echo_node.domain.studies.study import (
    GreyImage,
    SelectedImage,
    Selection,
    StoredInstance,
)
from echo_node.domain.work.commitment import AnswerJob, CommitmentJob, CommitmentReport, CommitmentRequest
from echo_node.domain.work.drafting import DraftOutcome, StudySnapshot
from echo_node.domain.work.job import DeliveryJob, DraftJob, Lease
from echo_node.domain.work.withdrawal import IdentityConflict, WithdrawalJob, WithdrawnDrafts


class Clock(Protocol):
    """Source of time, the only one."""

    def now(self) -> datetime:
        """Return the present moment, aware, in UTC."""
        ...


class CompletionLedger(Protocol):
    """Studies that may be complete."""

    def complete_due(self) -> Sequence[int]:
        """Complete every study that is due and enqueue its job. Return the ids of the studies."""
        ...


class Leased(Protocol):
    """Claimed work item."""

    @property
    def lease(self) -> Lease:
        """Claim on the work item."""
        ...


Work = TypeVar("Work", bound=Leased)


class WorkQueue(Protocol[Work]):
    """Queue of work items and their outcomes.

    Every method except `claim` raises LeaseLost if the caller no longer holds the claim. Any method
    may raise TransientError if the database is unreachable.
    """

    def claim(self, holder: str) -> Work | None:
        """Claim the next work item that is due, if there is one."""
        ...

    def renew(self, work: Work) -> None:
        """Extend the lease."""
        ...

    def retry(self, work: Work, reason: str, at: datetime) -> None:
        """End the claim; the work can be claimed again at *at*."""
        ...

    def dead_letter(self, work: Work, reason: str) -> None:
        """Make the work a dead letter, which an operator can release."""
        ...

    def release_claim(self, work: Work) -> None:
        """End the claim as if the work had not been tried."""
        ...


class DraftLedger(Protocol):
    """Study of a drafting job, and storage of its outcome."""

    def open(self, job: DraftJob) -> AbstractContextManager[StudySnapshot]:
        """Yield the state of the job's study, with its files available until the block ends.

        Raises:
            TransientError: the database, a document or a file is unavailable.
        """
        ...

    def finish(self, job: DraftJob, outcome: DraftOutcome) -> None:
        """End the job with its outcome, in one transaction.

        A new draft is durable when this returns, and its deliveries exist. Deliveries of forms that
        could not be made are dead letters from the beginning. Without a new draft, the earlier one
        remains valid. A conflict holds the study and withdraws the standing drafts.

        Raises:
            LeaseLost: another worker holds the job by now, or it belongs to an earlier revision.
            TransientError: the outcome cannot be stored now.
        """
        ...


class FormLedger(Protocol):
    """Forms that could not be made with the others."""

    def unmade(self, job: DeliveryJob) -> AbstractContextManager[UnmadeForm | None]:
        """Yield the form of the delivery's document that is still unmade; None if it is made.

        Raises:
            PermanentError: the stored draft, or the image that it needs, is lost.
            TransientError: they are unavailable now.
        """
        ...

    def store(self, job: DeliveryJob, document: EncodedDocument) -> None:
        """Make the document durable. If another worker was faster, its document stays.

        Raises:
            TransientError: it cannot be stored now.
        """
        ...


class CommitmentLedger(Protocol):
    """Storage commitment requests to peers, and their results."""

    def asked(self, job: CommitmentJob) -> None:
        """Record that the peer accepted the request; its result may have arrived before.

        Raises:
            LeaseLost: another worker holds the request by now.
        """
        ...

    def report(self, report: CommitmentReport, calling_ae_title: str) -> bool:
        """Record the result of a request. Return false if no such request to this peer is open.

        Raises:
            TransientError: the database cannot store it now.
        """
        ...


class CommitmentRequester(Protocol):
    """Requests storage commitment from a peer."""

    def request(self, job: CommitmentJob) -> CommitmentReport | None:
        """Send the request. Return the result if it arrives at once on the same association.

        Raises:
            TransientError: no association, abort, time-out, or a temporary status.
            PermanentError: the peer does not offer storage commitment, or refused the request.
        """
        ...


class CommitmentRequestIntake(Protocol):
    """Intake of storage commitment requests from modalities."""

    def accept(self, request: CommitmentRequest) -> bool:
        """Make the request durable. After it returns true, the peer may receive 0x0000.

        A repeated request is the same one. Return false if an earlier request of the peer has the
        same Transaction UID and other instances.

        Raises:
            TransientError: the database cannot store it now.
        """
        ...


class AnswerLedger(Protocol):
    """Answers to modalities and their outcomes."""

    def answered(self, job: AnswerJob) -> None:
        """Record that the modality has its answer.

        Raises:
            LeaseLost: another worker holds the answer by now.
        """
        ...


class ModalityAnswerer(Protocol):
    """Reports the result of its request to a modality."""

    def answer(self, job: AnswerJob) -> None:
        """Open an association to the modality and report. It has the answer when this returns.

        Raises:
            TransientError: no association, abort, time-out, or a temporary status.
            PermanentError: the modality is no longer configured, or it refused the report.
        """
        ...


class DeliveryLedger(Protocol):
    """Deliveries and their outcomes."""

    def document(self, job: DeliveryJob) -> EncodedDocument:
        """Return the document to send, byte for byte as it was stored.

        Raises:
            PermanentError: the document is lost or damaged.
            TransientError: the document is unavailable now.
        """
        ...

    def finish(self, job: DeliveryJob, outcome: DeliveryOutcome, status: int) -> None:
        """Record that the destination has the document.

        Raises:
            LeaseLost: another worker holds the delivery by now.
        """
        ...


class WithdrawalLedger(Protocol):
    """Withdrawals and their notes."""

    def withdrawn_drafts(self, job: WithdrawalJob) -> Sequence[WithdrawnDrafts]:
        """Return the drafts of each note; none if no destination can have a draft.

        Raises:
            PermanentError: a document is lost or damaged.
            TransientError: a document is unavailable now.
        """
        ...

    def store(self, job: WithdrawalJob, notes: Sequence[tuple[WithdrawnDrafts, EncodedDocument]]) -> None:
        """Make the notes durable and create their deliveries.

        Raises:
            LeaseLost: another worker holds the withdrawal by now.
        """
        ...


class NoteEncoder(Protocol):
    """Makes the note that withdraws drafts."""

    def encode(self, rejected: WithdrawnDrafts) -> EncodedDocument:
        """Return the note; the same inputs give the same SOP Instance UID.

        Raises:
            PermanentError: a document cannot be read.
        """
        ...


class ConflictFinder(Protocol):
    """Checks that everything in a study is of one patient and of the draft's orders."""

    def find(self, study: StudySnapshot) -> IdentityConflict | None:
        """Return the contradiction that forbids a draft of the study; None without one.

        It compares the images with each other, with the standing drafts, and with what was set
        aside. A Key Object that rejects an image of a standing draft is a contradiction too.
        """
        ...


class ImageSelector(Protocol):
    """Chooses the image to read."""

    def select(self, instances: Sequence[StoredInstance]) -> Selection:
        """Return the frontal chest image to read and the images left unread, with reasons.

        Raises:
            NotEligible: no image may be read; the message is the reason, for the operator.
            PermanentError: the image to read cannot be decoded.
        """
        ...


class AppearanceCheck(Protocol):
    """Recognises the appearance of an image by its pixels."""

    def look(self, image: GreyImage) -> Sight:
        """Return the appearance of the image and the zone of its frontal probability."""
        ...


class PixelReader(Protocol):
    """Reads a stored image as displayed grey values."""

    def read(self, image: SelectedImage) -> GreyImage:
        """Return the displayed image at full resolution.

        Raises:
            NotEligible: the image shows nothing.
            PermanentError: the pixel data cannot be decoded or shown.
        """
        ...


class ReportGenerator(Protocol):
    """Writes the report."""

    @property
    def model(self) -> ModelIdentity:
        """The loaded model."""
        ...

    def generate(self, image: GreyImage) -> Report:
        """Return the report for one frontal chest image.

        Raises:
            PermanentError: the output of the model is not a report.
            TransientError: out of memory, or a temporary device failure.
        """
        ...


class ImageDescriber(Protocol):
    """Reads the attributes of an image's header that documents repeat."""

    def __call__(self, image: SelectedImage) -> SelectedImage:
        """Return the image with the attributes of its header.

        Raises:
            PermanentError: the header cannot be read.
        """
        ...


class PriorFinder(Protocol):
    """Searches for the patient's earlier chest radiographs."""

    @property
    def archive(self) -> str:
        """Name of the archive, for a reader."""
        ...

    @property
    def within_years(self) -> int:
        """Length of the period searched, in years."""
        ...

    def find(self, subject: Subject, study_instance_uid: str) -> Comparison:
        """Return the newest prior of the study of *subject*, if the archive has one.

        Call it only if domain.drafts.prior.why_not_asked returns None for the subject.

        Raises:
            TransientError: the archive is unreachable, or does not answer in time.
            PermanentError: the archive refuses the query.
        """
        ...


class ReportEncoder(Protocol):
    """Encodes a draft in one form."""

    @property
    def kind(self) -> str:
        """The form, such as `basic-text-sr`."""
        ...

    def encode(self, draft: Draft, predecessor: EncodedDocument | None = None) -> EncodedDocument:
        """Return the document; the same inputs give the same SOP Instance UID.

        It reads no file: patient, study and order come with the draft.

        Args:
            draft: the draft.
            predecessor: document of this form that the new one replaces.

        Raises:
            PermanentError: this form cannot represent the draft.
        """
        ...


class DeliveryOutcome(enum.Enum):
    """A peer's answer that counts as stored (PS3.4 B.2.3: success and warning status)."""

    SUCCESS = "success"
    WARNING = "warning"


class DocumentSender(Protocol):
    """Sends a document to a destination by name."""

    def send(self, document: EncodedDocument, destination: str) -> tuple[DeliveryOutcome, int]:
        """Send it; return the outcome and the DIMSE status, or 0 if the protocol has none.

        Raises:
            TransientError: no association, abort, time-out, or a temporary status (0xA7xx, 0x0110).
            PermanentError: a permanent status (0xA9xx, 0xCxxx), or the SOP class was not accepted.
        """
        ...
