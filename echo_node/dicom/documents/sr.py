"""The draft as a Structured Report, which a PACS stores next to the images.

There are four SOP classes, and most PACS render only the first. Basic Text, Enhanced and
Comprehensive SR have the same tree (TID 2000). Comprehensive 3D SR has a Measurement Report (TID
1500), for programs that look for results there. Source: PS3.3 A.35.1, A.35.2, A.35.3, A.35.13,
C.17.2.
"""

from __future__ import annotations

import io
from datetime import tzinfo

from pydicom.dataset import Dataset
from pydicom.uid import (
    BasicTextSRStorage,
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    EnhancedSRStorage,
)

from echo_node.dicom.attributes import requests
from echo_node.dicom.documents import draft_object
from echo_node.dicom.documents.draft_object import sop_reference, study_item
from echo_node.dicom.documents.tid_1500 import measurement_tree
from echo_node.dicom.documents.tid_2000 import content_tree
from echo_node.dicom.header import read_header
from echo_node.dicom.header_values import text
from echo_node.domain.drafts.draft import Draft, compose
from echo_node.domain.drafts.report import EncodedDocument
from echo_node.domain.studies.study import Selection
from echo_node.settings import DocumentKind

_FORMS = {
    DocumentKind.BASIC_TEXT_SR: (BasicTextSRStorage, content_tree),
    DocumentKind.ENHANCED_SR: (EnhancedSRStorage, content_tree),
    DocumentKind.COMPREHENSIVE_SR: (ComprehensiveSRStorage, content_tree),
    DocumentKind.COMPREHENSIVE_3D_SR: (Comprehensive3DSRStorage, measurement_tree),
}


class StructuredReportEncoder:
    """Implements the ReportEncoder port.

    Args:
        kind: kind of Structured Report.
        zone: time zone if the image states none; the machine's by default.
    """

    def __init__(
        self, kind: DocumentKind = DocumentKind.BASIC_TEXT_SR, *, zone: tzinfo | None = None
    ) -> None:
        self.kind = kind
        self._zone = zone
        self._sop_class_uid, self._tree = _FORMS[kind]

    def encode(self, draft: Draft, predecessor: EncodedDocument | None = None) -> EncodedDocument:
        """Return the document; the same inputs give the same bytes."""
        selection, study = draft.selection, draft.study_instance_uid
        document = draft_object.begin(
            draft, self.kind, sop_class_uid=self._sop_class_uid, modality="SR", zone=self._zone
        )
        document.ReferencedPerformedProcedureStepSequence = []
        _describe_state(document)
        if orders := requests(draft.attributes, study):
            document.ReferencedRequestSequence = orders
        document.CurrentRequestedProcedureEvidenceSequence = [_evidence(study, selection)]
        if predecessor is not None:
            document.PredecessorDocumentsSequence = [_reference_to(predecessor)]
        content = compose(draft)
        document.update(self._tree(content, draft.report.model, selection.images))
        return draft_object.finish(document, self.kind)


def _describe_state(document: Dataset) -> None:
    """State that the document is incomplete, unverified and preliminary (PS3.3 C.17.2)."""
    document.CompletionFlag = "PARTIAL"
    document.CompletionFlagDescription = "Machine draft, to be completed by a radiologist"
    document.VerificationFlag = "UNVERIFIED"
    document.PreliminaryFlag = "PRELIMINARY"
    document.PerformedProcedureCodeSequence = []


def _evidence(study_instance_uid: str, selection: Selection) -> Dataset:
    """List the images that were read, by series (PS3.3 C.17.2.3)."""
    series: dict[str, list[Dataset]] = {}
    for image in selection.images:
        identity = image.instance.identity
        reference = sop_reference(identity.sop_class_uid, identity.sop_instance_uid)
        series.setdefault(identity.series_instance_uid, []).append(reference)
    return study_item(study_instance_uid, series.items())


def _reference_to(predecessor: EncodedDocument) -> Dataset:
    header = read_header(io.BytesIO(predecessor.content))
    reference = sop_reference(predecessor.sop_class_uid, predecessor.sop_instance_uid)
    return study_item(predecessor.study_instance_uid, [(text(header, "SeriesInstanceUID"), [reference])])
