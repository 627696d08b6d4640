"""What the pipeline asks of the world. Each port is fulfilled by one package; node.py connects them."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from echo_node.domain.report import EncodedDocument, ModelIdentity, Report
from echo_node.domain.study import GreyImage, ReceivedInstance, SelectedImage, Selection, StoredInstance


class Clock(Protocol):
    """The only source of time."""

    def now(self) -> datetime:
        """Return the present moment, aware, in UTC."""
        ...


class StoreOutcome(enum.Enum):
    """What became of an instance that was offered for storing."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"


class InstanceSink(Protocol):
    """Where the C-STORE provider puts instances (fulfilled by pipeline/receive.py)."""

    def store(self, received: ReceivedInstance) -> StoreOutcome:
        """Make the instance durable; when this returns, the peer may be told 0x0000.

        Raises:
            InstanceRejected: with the DIMSE status to answer; nothing of it is left behind.
        """
        ...


class ImageSelector(Protocol):
    """Chooses what to read (fulfilled by dicom/views.py)."""

    def select(self, instances: Sequence[StoredInstance]) -> Selection:
        """Return the frontal chest image to read and the images left unread, with reasons.

        Raises:
            NotEligible: no image of the study may be read; the message is the reason, for the operator.
        """
        ...


class PixelReader(Protocol):
    """Turns a stored image into grey values as displayed (fulfilled by dicom/pixels.py)."""

    def read(self, image: SelectedImage) -> GreyImage:
        """Return the displayed image at full resolution.

        Raises:
            PermanentError: the pixel data cannot be decoded or shown.
        """
        ...


class ReportGenerator(Protocol):
    """Writes the draft (fulfilled by inference/generator.py)."""

    @property
    def model(self) -> ModelIdentity:
        """The loaded model."""
        ...

    def generate(self, image: GreyImage) -> Report:
        """Return the draft for one frontal chest image.

        Raises:
            PermanentError: the model wrote nothing that can be a report.
            TransientError: out of memory, or a device that may recover.
        """
        ...


class ReportEncoder(Protocol):
    """Makes the DICOM object (fulfilled by dicom/sr.py)."""

    def encode(
        self, report: Report, selection: Selection, *, study_instance_uid: str, revision: int, at: datetime
    ) -> EncodedDocument:
        """Return the document; the same inputs give the same SOP Instance UID.

        Patient, study and order attributes come from the selected image's own header.
        """
        ...


class DeliveryOutcome(enum.Enum):
    """A peer's answer that counts as stored (PS3.4 B.2.3: success and warning status)."""

    SUCCESS = "success"
    WARNING = "warning"


class DocumentSender(Protocol):
    """Sends a document to one peer by name (fulfilled by dicom/scu.py)."""

    def send(self, document: EncodedDocument, destination: str) -> tuple[DeliveryOutcome, int]:
        """Return the outcome and the DIMSE status.

        Raises:
            TransientError: no association, abort, time-out, or a status that may pass (0xA7xx, 0x0110).
            PermanentError: a status that will not (0xA9xx, 0xCxxx), or the SOP class was not accepted.
        """
        ...
