"""Content tree of the draft: TID 2000 Basic Diagnostic Imaging Report, for the Basic Text SR IOD.

highdicom has no TID 2000. The tree is built from its content items.
Source: PS3.16 TID 2000, 1001, 1004, 1204; PS3.3 A.35.1, C.17.3.
"""

from __future__ import annotations

from collections.abc import Sequence

from highdicom.sr import (
    CodeContentItem,
    CodedConcept,
    ContainerContentItem,
    ContentItem,
    ContentSequence,
    ImageContentItem,
    RelationshipTypeValues,
    TextContentItem,
    UIDRefContentItem,
)

from echo_node import __version__
from echo_node.dicom.documents.sr_codes import concept, language
from echo_node.dicom.uids import device_uid
from echo_node.domain.drafts.draft import MANUFACTURER, SHORT_DIGEST, Content, Section, SectionName
from echo_node.domain.drafts.report import ModelIdentity
from echo_node.domain.studies.study import SelectedImage

_CONTAINS = RelationshipTypeValues.CONTAINS
_HAS_CONTEXT = RelationshipTypeValues.HAS_OBS_CONTEXT
_HAS_MODIFIER = RelationshipTypeValues.HAS_CONCEPT_MOD

_ELEMENTS = {
    SectionName.SUMMARY: "summary",
    SectionName.PRIOR: "procedure_description",
    SectionName.FINDINGS: "finding",
    SectionName.IMPRESSIONS: "impression",
    SectionName.PROCEDURE: "procedure_description",
}


def content_tree(
    content: Content, model: ModelIdentity, images: Sequence[SelectedImage]
) -> ContainerContentItem:
    """Return the root container, to be merged into the document.

    Args:
        content: content of the document.
        model: the model, as observer.
        images: images that were read.
    """
    root = ContainerContentItem(
        concept("title", "diagnostic_imaging_report"), is_content_continuous=False, template_id="2000"
    )
    items = [*context(content.language, model)]
    for section in content.sections:
        texts = paragraphs(section)
        if section.name is SectionName.FINDINGS:
            purpose = concept("purpose_of_reference", "best_illustration_of_finding")
            texts += [image_reference(image, purpose) for image in images]
        items.append(container(concept("heading", section.name), texts))
    root.ContentSequence = ContentSequence(items)
    return root


def context(language_tag: str, model: ModelIdentity) -> list[ContentItem]:
    """Return language (TID 1204) and observer (TID 1002, 1004): this program and checkpoint."""
    named = {
        "name": f"{MANUFACTURER} {__version__}",
        "manufacturer": MANUFACTURER,
        "model_name": f"{model.name} {model.version}",
        "serial_number": model.digest[:SHORT_DIGEST],
    }
    of_content = concept("language", "of_content_item_and_descendants")
    return [
        CodeContentItem(of_content, language(language_tag), _HAS_MODIFIER),
        CodeContentItem(concept("observer", "type"), concept("observer", "device"), _HAS_CONTEXT),
        UIDRefContentItem(concept("observer", "uid"), device_uid(model.digest), _HAS_CONTEXT),
        *(TextContentItem(concept("observer", name), value, _HAS_CONTEXT) for name, value in named.items()),
    ]


def paragraphs(section: Section) -> list[ContentItem]:
    """Return a TEXT item for each paragraph of a section."""
    name = concept("element", _ELEMENTS[section.name])
    return [TextContentItem(name, paragraph, _CONTAINS) for paragraph in section.paragraphs]


def container(name: CodedConcept, items: Sequence[ContentItem]) -> ContainerContentItem:
    """Return a container of separate items."""
    found = ContainerContentItem(name, is_content_continuous=False, relationship_type=_CONTAINS)
    found.ContentSequence = ContentSequence(items)
    return found


def image_reference(image: SelectedImage, purpose: CodedConcept) -> ImageContentItem:
    """Return an IMAGE item for an image that was read."""
    identity = image.instance.identity
    return ImageContentItem(
        purpose, identity.sop_class_uid, identity.sop_instance_uid, relationship_type=_CONTAINS
    )
