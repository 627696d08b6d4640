"""What goes out, put together: the forms of drafts and of their withdrawal, and the way to each destination.

Part of the composition root, apart from roles/ because commands need it too.
"""

from __future__ import annotations

from collections.abc import Mapping

from echo_node.domain.ports import DocumentSender, NoteEncoder, ReportEncoder
from echo_node.settings import DocumentKind, Settings


def encoder(kind: DocumentKind, settings: Settings) -> ReportEncoder:
    """Return what gives a draft this form.

    Raises:
        ConfigError: the machine lacks what it needs; the message says what.
    """
    if kind is DocumentKind.ORU_R01:
        from echo_node.hl7.oru import OruEncoder

        return OruEncoder(settings.node.ae_title)
    from echo_node.dicom.documents.encoders import dicom_encoder

    return dicom_encoder(kind)


def encoders(settings: Settings) -> list[ReportEncoder]:
    """Return what gives a draft the forms that some destination gets.

    Raises:
        ConfigError: the machine lacks what one of them needs.
    """
    return [encoder(kind, settings) for kind in settings.documents]


def note_encoders() -> tuple[NoteEncoder, NoteEncoder]:
    """Return what withdraws DICOM objects, and what withdraws HL7 messages."""
    from echo_node.dicom.documents.rejection_note import RejectionNoteEncoder
    from echo_node.hl7.correction import CorrectionEncoder

    return RejectionNoteEncoder(), CorrectionEncoder()


def senders(settings: Settings) -> Mapping[str, DocumentSender]:
    """Return what sends to each destination, by its name: HL7 where it has an mllp_url, else DICOM."""
    from echo_node.dicom.scu.destinations import Destinations
    from echo_node.hl7.mllp import MllpSender

    timeout_s = settings.delivery.timeout_s
    by_dicom = Destinations(settings.node.ae_title, settings.peers, timeout_s)
    by_hl7 = MllpSender(settings.peers, timeout_s)
    return {
        name: by_hl7 if settings.peers[name].mllp_url else by_dicom for name in settings.delivery.destinations
    }
