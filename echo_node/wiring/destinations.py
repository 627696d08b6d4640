"""Composition of the encoders of drafts and notes, and of the senders to destinations.

Part of the composition root, apart from roles/ because commands need it too.
"""

from __future__ import annotations

from collections.abc import Mapping

from echo_node.domain.ports import DocumentSender, NoteEncoder, ReportEncoder
from echo_node.settings import DocumentKind, Settings


def encoder(kind: DocumentKind, settings: Settings) -> ReportEncoder:
    """Return the encoder of a form.

    Raises:
        ConfigError: this machine lacks a requirement of the form, which the message names.
    """
    if kind is DocumentKind.ORU_R01:
        from echo_node.hl7.oru import OruEncoder

        return OruEncoder(settings.node.ae_title)
    from echo_node.dicom.documents.encoders import dicom_encoder

    return dicom_encoder(kind)


def encoders(settings: Settings) -> list[ReportEncoder]:
    """Return the encoders of all forms that some destination gets.

    Raises:
        ConfigError: this machine lacks a requirement of one of them.
    """
    return [encoder(kind, settings) for kind in settings.documents]


def note_encoders() -> tuple[NoteEncoder, NoteEncoder]:
    """Return the encoders of notes that withdraw DICOM objects and HL7 messages."""
    from echo_node.dicom.documents.rejection_note import RejectionNoteEncoder
    from echo_node.hl7.correction import CorrectionEncoder

    return RejectionNoteEncoder(), CorrectionEncoder()


def senders(settings: Settings) -> Mapping[str, DocumentSender]:
    """Return the sender to each destination, by name: HL7 if it has an mllp_url, or else DICOM."""
    from echo_node.dicom.scu.destinations import Destinations
    from echo_node.hl7.mllp import MllpSender

    timeout_s = settings.delivery.timeout_s
    by_dicom = Destinations(settings.node.ae_title, settings.peers, timeout_s)
    by_hl7 = MllpSender(settings.peers, timeout_s)
    return {
        name: by_hl7 if settings.peers[name].mllp_url else by_dicom for name in settings.delivery.destinations
    }
