"""Content tree of a Measurement Report (TID 1500), for programs that collect results of AI.

The draft is prose, without measurements or codes, and so has no Measurement Groups. Its sentences
are in Qualitative Evaluations, the template's place for statements in words. highdicom's
MeasurementReport requires a group, and its Image Library requires attributes that real images lack.
Therefore only its content items are used. Source: PS3.16 TID 1500, 1600, 1601.
"""

from __future__ import annotations

from collections.abc import Sequence

from highdicom.sr import (
    CodeContentItem,
    ContainerContentItem,
    ContentItem,
    ContentSequence,
    RelationshipTypeValues,
)

from echo_node.dicom.documents.sr_codes import concept
from echo_node.dicom.documents.tid_2000 import container, context, image_reference, paragraphs
from echo_node.domain.drafts.draft import Content
from echo_node.domain.drafts.report import ModelIdentity
from echo_node.domain.studies.study import SelectedImage


def measurement_tree(
    content: Content, model: ModelIdentity, images: Sequence[SelectedImage]
) -> ContainerContentItem:
    """Return the root container, to be merged into the document; see content_tree."""
    root = ContainerContentItem(
        concept("title", "imaging_measurement_report"), is_content_continuous=False, template_id="1500"
    )
    words = [item for section in content.sections for item in paragraphs(section)]
    items: list[ContentItem] = [
        *context(content.language, model),
        CodeContentItem(
            concept("measurement_report", "procedure_reported"),
            concept("measurement_report", "imaging_procedure"),
            RelationshipTypeValues.HAS_CONCEPT_MOD,
        ),
        _image_library(images),
        container(concept("measurement_report", "qualitative_evaluations"), words),
    ]
    root.ContentSequence = ContentSequence(items)
    return root


def _image_library(images: Sequence[SelectedImage]) -> ContainerContentItem:
    source = concept("image_library", "source")
    group = container(concept("image_library", "group"), [image_reference(image, source) for image in images])
    return container(concept("image_library", "library"), [group])
