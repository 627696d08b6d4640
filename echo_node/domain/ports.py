"""What the pipeline asks of the world. Each port is fulfilled by one package; roles/ connects them."""

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
from echo_node.domain.studies.appearance import Appearance
from echo_node.domain.studies.study import (
    GreyImage,
    SelectedImage,
    Selection,
    StoredInstance,
)
from echo_node.domain.work.commitment import AnswerJob, CommitmentJob, CommitmentReport, CommitmentRequest
from echo_node.domain.work.drafting import DraftOutcome, StudySnapshot
from echo_node.domain.work.job import DeliveryJob, DraftJob, Lease
from echo_node.domain.work.withdrawal import IdentityConflict, StandingDrafts, WithdrawalJob, WithdrawnDrafts


class Clock(Protocol):
    """The only source of time."""

    def now(self) -> datetime:
        """Return the present moment, aware, in UTC."""
        ...


class CompletionLedger(Protocol):
    """Studies that may be complete (fulfilled by storage/ledgers/studies.py)."""

    def complete_due(self) -> Sequence[int]:
        """Complete every study whose time has come and enqueue its job; return the studies' ids."""
        ...


class Leased(Protocol):
    """Work that was claimed."""

    @property
    def lease(self) -> Lease:
        """The right to do it."""
        ...


Work = TypeVar("Work", bound=Leased)


class WorkQueue(Protocol[Work]):
    """Queue of work items and their outcomes (storage/queues/).

    Every method but `claim` raises LeaseLost when the work is no longer the caller's, and any may
    raise TransientError when the database cannot be reached.
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
    """A drafting job's study, and the storage of its outcome (storage/ledgers/drafts.py)."""

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
        still stands. A conflict withdraws the standing drafts.

        Raises:
            LeaseLost: another worker holds the job by now, or it belongs to an earlier revision.
            TransientError: the outcome cannot be stored now.
        """
        ...


class FormLedger(Protocol):
    """Forms that could not be made with the others (storage/ledgers/forms.py)."""

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
    """Storage commitment questions and their answers (storage/queues/)."""

    def asked(self, job: CommitmentJob) -> None:
        """Record that the peer took the question; its answer may have come before.

        Raises:
            LeaseLost: the question is another worker's by now.
        """
        ...

    def report(self, report: CommitmentReport, calling_ae_title: str) -> bool:
        """Record what a peer says of a question; false if no such question to it is open.

        Raises:
            TransientError: the database cannot take it now.
        """
        ...


class CommitmentRequester(Protocol):
    """Asks a peer for storage commitment (fulfilled by dicom/scu/storage_commitment.py)."""

    def request(self, job: CommitmentJob) -> CommitmentReport | None:
        """Ask, and return the answer if it comes at once on the same association.

        Raises:
            TransientError: no association, abort, time-out, or a status that may pass.
            PermanentError: the peer does not offer storage commitment, or refused the request.
        """
        ...


class CommitmentRequestIntake(Protocol):
    """Intake of modalities' requests for storage commitment (storage/queues/commitment_requests.py)."""

    def accept(self, request: CommitmentRequest) -> bool:
        """Make the request durable; when this returns true, the peer may be told 0x0000.

        A repeated request is the same one. False if the peer has asked about something else under
        this Transaction UID.

        Raises:
            TransientError: the database cannot take it now.
        """
        ...


class AnswerLedger(Protocol):
    """Answers to modalities and their end (fulfilled by storage/queues/commitment_requests.py)."""

    def answered(self, job: AnswerJob) -> None:
        """Record that the modality has its answer.

        Raises:
            LeaseLost: the answer is another worker's by now.
        """
        ...


class ModalityAnswerer(Protocol):
    """Tells a modality what became of its request (fulfilled by dicom/scp/storage_commitment.py)."""

    def answer(self, job: AnswerJob) -> None:
        """Open an association to it and report; it has the answer when this returns.

        Raises:
            TransientError: no association, abort, time-out, or a status that may pass.
            PermanentError: it is not configured any more, takes no reports, or refused this one.
        """
        ...


class DeliveryLedger(Protocol):
    """Deliveries and their end (fulfilled by storage/queues/deliveries.py)."""

    def document(self, job: DeliveryJob) -> EncodedDocument:
        """Return what is to be sent, byte for byte as it was stored.

        Raises:
            PermanentError: it is lost or damaged.
            TransientError: it cannot be had now.
        """
        ...

    def finish(self, job: DeliveryJob, outcome: DeliveryOutcome, status: int) -> None:
        """Record that the destination has the document.

        Raises:
            LeaseLost: the delivery is another worker's by now.
        """
        ...


class WithdrawalLedger(Protocol):
    """Withdrawals and their notes (fulfilled by storage/queues/withdrawals.py)."""

    def withdrawn_drafts(self, job: WithdrawalJob) -> Sequence[WithdrawnDrafts]:
        """Return what there is to be notes about: nothing if no destination can have a draft.

        Raises:
            PermanentError: a document is lost or damaged.
            TransientError: it cannot be had now.
        """
        ...

    def store(self, job: WithdrawalJob, notes: Sequence[tuple[WithdrawnDrafts, EncodedDocument]]) -> None:
        """Make the notes durable and create their deliveries.

        Raises:
            LeaseLost: the withdrawal is another worker's by now.
        """
        ...


class NoteEncoder(Protocol):
    """Makes the note that withdraws drafts (dicom/documents/rejection_note.py, hl7/correction.py)."""

    def encode(self, rejected: WithdrawnDrafts) -> EncodedDocument:
        """Return the note; the same inputs give the same SOP Instance UID.

        Raises:
            PermanentError: a document cannot be read.
        """
        ...


class ConflictFinder(Protocol):
    """Checks images against the patient that a draft names (dicom/selection/patient_identity.py)."""

    def find(self, instances: Sequence[StoredInstance], standing: StandingDrafts) -> IdentityConflict | None:
        """Return the contradiction among the images, or with a standing draft; None without one."""
        ...


class ImageSelector(Protocol):
    """Chooses the image to read (dicom/selection/selector.py)."""

    def select(self, instances: Sequence[StoredInstance]) -> Selection:
        """Return the frontal chest image to read and the images left unread, with reasons.

        Raises:
            NotEligible: no image may be read; the message is the reason, for the operator.
            PermanentError: the image to read cannot be decoded.
        """
        ...


class AppearanceCheck(Protocol):
    """Recognises the appearance of an image by its pixels (inference/view_check.py)."""

    def look(self, image: GreyImage) -> Appearance:
        """Return the appearance of the image, or UNSURE."""
        ...


class PixelReader(Protocol):
    """Reads a stored image as displayed grey values (dicom/image/pixels.py)."""

    def read(self, image: SelectedImage) -> GreyImage:
        """Return the displayed image at full resolution.

        Raises:
            PermanentError: the pixel data cannot be decoded or shown.
        """
        ...


class ReportGenerator(Protocol):
    """Writes the report (inference/generator.py)."""

    @property
    def model(self) -> ModelIdentity:
        """The loaded model."""
        ...

    def generate(self, image: GreyImage) -> Report:
        """Return the report for one frontal chest image.

        Raises:
            PermanentError: the output of the model is not a report.
            TransientError: out of memory, or a device failure that may pass.
        """
        ...


class ImageDescriber(Protocol):
    """Reads what documents repeat from an image's header (dicom/selection/headers.py)."""

    def __call__(self, image: SelectedImage) -> SelectedImage:
        """Return the image with the attributes of its header.

        Raises:
            PermanentError: the header cannot be read.
        """
        ...


class PriorFinder(Protocol):
    """Searches for the patient's earlier chest radiographs (dicom/priors.py)."""

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
            TransientError: the archive cannot be reached, or does not answer in time.
            PermanentError: the archive refuses the query.
        """
        ...


class ReportEncoder(Protocol):
    """Encodes a draft in one form (dicom/documents/encoders.py, hl7/oru.py)."""

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
    """Sends a document to a peer by name (dicom/scu/destinations.py, hl7/mllp.py)."""

    def send(self, document: EncodedDocument, destination: str) -> tuple[DeliveryOutcome, int]:
        """Send it; return the outcome and the DIMSE status, or 0 if the protocol has none.

        Raises:
            TransientError: no association, abort, time-out, or a temporary status (0xA7xx, 0x0110).
            PermanentError: a permanent status (0xA9xx, 0xCxxx), or the SOP class was not accepted.
        """
        ...
