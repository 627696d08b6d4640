"""The forms of a draft that are DICOM objects, each with what makes it."""

from __future__ import annotations

from datetime import tzinfo

from echo_node.domain.ports import ReportEncoder
from echo_node.settings import DocumentKind


def dicom_encoder(kind: DocumentKind, *, zone: tzinfo | None = None) -> ReportEncoder:
    """Return what makes this kind of DICOM object.

    Raises:
        ConfigError: the machine lacks what it needs.
    """
    if kind is DocumentKind.ENCAPSULATED_PDF:
        from echo_node.dicom.documents.encapsulated_pdf import EncapsulatedPdfEncoder

        return EncapsulatedPdfEncoder(zone=zone)
    if kind is DocumentKind.SECONDARY_CAPTURE:
        from echo_node.dicom.documents.secondary_capture import SecondaryCaptureEncoder

        return SecondaryCaptureEncoder(zone=zone)
    from echo_node.dicom.documents.sr import StructuredReportEncoder

    return StructuredReportEncoder(kind, zone=zone)
