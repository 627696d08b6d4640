"""Encoders of the forms that are DICOM objects."""

from __future__ import annotations

from datetime import tzinfo

from echo_node.domain.ports import ReportEncoder
from echo_node.settings import DocumentKind


def dicom_encoder(kind: DocumentKind, *, zone: tzinfo | None = None) -> ReportEncoder:
    """Return the encoder of a kind of DICOM object.

    Raises:
        ConfigError: this machine lacks a requirement of the form.
    """
    if kind is DocumentKind.ENCAPSULATED_PDF:
        from echo_node.dicom.documents.encapsulated_pdf import EncapsulatedPdfEncoder

        return EncapsulatedPdfEncoder(zone=zone)
    if kind is DocumentKind.SECONDARY_CAPTURE:
        from echo_node.dicom.documents.secondary_capture import SecondaryCaptureEncoder

        return SecondaryCaptureEncoder(zone=zone)
    from echo_node.dicom.documents.sr import StructuredReportEncoder

    return StructuredReportEncoder(kind, zone=zone)
