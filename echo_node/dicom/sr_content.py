"""The draft's content tree: TID 2000 Basic Diagnostic Imaging Report, as the Basic Text SR IOD allows it.

What a reader must know first comes first: that no physician has seen the text and, for a demonstration
model, that it is not for clinical use. highdicom has no TID 2000, so the tree is put together from its
content items. Source: PS3.16 TID 2000, 1001, 1004, 1204; PS3.3 A.35.1, C.17.3.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

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
from echo_node.dicom.sr_codes import concept, language, template_id
from echo_node.dicom.uids import device_uid
from echo_node.domain.report import ModelIdentity, Report, Sentence
from echo_node.domain.study import SelectedImage, UnreadImage

MANUFACTURER = "echo-node"

DRAFT_NOTICE = (
    "UNVERIFIED MACHINE DRAFT. A computer program wrote this text; no physician has read it. "
    "A radiologist must check it against the images before anyone relies on it."
)
DEMONSTRATION_NOTICE = "DEMONSTRATION MODEL, NOT FOR CLINICAL USE."

_CONTAINS = RelationshipTypeValues.CONTAINS
_HAS_CONTEXT = RelationshipTypeValues.HAS_OBS_CONTEXT
_HAS_MODIFIER = RelationshipTypeValues.HAS_CONCEPT_MOD
SHORT_DIGEST = 16
"""How much of a checkpoint's digest is shown; the whole one is in the contributing equipment."""


def content_tree(
    report: Report, images: Sequence[SelectedImage], unread: Sequence[UnreadImage], remarks: Sequence[str]
) -> ContainerContentItem:
    """Return the root container, its attributes to be merged into the document.

    Args:
        report: the draft.
        images: what was read.
        unread: what was not, and why.
        remarks: what else the reader must know of the images read.
    """
    root = ContainerContentItem(
        concept("title", "diagnostic_imaging_report"),
        is_content_continuous=False,
        template_id=template_id(),
    )
    items: list[ContentItem] = [
        CodeContentItem(
            concept("language", "of_content_item_and_descendants"), language(report.language), _HAS_MODIFIER
        ),
        *_observer(report.model),
        _section("summary", [_text(concept("element", "summary"), notice(report.model))]),
        _section(
            "findings",
            [
                *_sentences("finding", report.findings, "The model wrote no findings."),
                *(_image(image) for image in images),
            ],
        ),
        _section(
            "impressions", _sentences("impression", report.impression, "The model wrote no impression.")
        ),
        _section(
            "current_procedure_descriptions",
            [
                _text(concept("element", "procedure_description"), sentence)
                for sentence in (*_what_was_read(report, images), *remarks, *_what_was_not(unread))
            ],
        ),
    ]
    root.ContentSequence = ContentSequence(items)
    return root


UNSURE_MARK = "[LOW CONFIDENCE]"
"""Stands before a sentence of which the model is unsure."""


def notice(model: ModelIdentity) -> str:
    """Return what a reader must know before anything else."""
    return f"{DEMONSTRATION_NOTICE} {DRAFT_NOTICE}" if model.demonstration else DRAFT_NOTICE


def _observer(model: ModelIdentity) -> list[ContentItem]:
    """Return the device observer (TID 1002 with TID 1004): this program with this checkpoint."""
    named = {
        "name": f"{MANUFACTURER} {__version__}",
        "manufacturer": MANUFACTURER,
        "model_name": f"{model.name} {model.version}",
        "serial_number": model.digest[:SHORT_DIGEST],
    }
    return [
        CodeContentItem(concept("observer", "type"), concept("observer", "device"), _HAS_CONTEXT),
        UIDRefContentItem(concept("observer", "uid"), device_uid(model.digest), _HAS_CONTEXT),
        *(_text(concept("observer", name), value, _HAS_CONTEXT) for name, value in named.items()),
    ]


def _sentences(element: str, sentences: Sequence[Sentence], absent: str) -> list[ContentItem]:
    marked = (f"{UNSURE_MARK} {s.text}" if s.is_unsure else s.text for s in sentences if s.text.strip())
    texts = [text for text in map(_printable, marked) if text]
    return [_text(concept("element", element), text) for text in texts or [absent]]


def _what_was_read(report: Report, images: Sequence[SelectedImage]) -> Iterable[str]:
    model = report.model
    views = ", ".join(
        "frontal (PA or AP not stated)" if image.view == "frontal" else image.view for image in images
    )
    yield f"Images read: {len(images)}. View: {views}. No other image, prior or clinical data was used."
    yield f"Written by {MANUFACTURER} {__version__} with model {model.name} {model.version}."


def _what_was_not(unread: Sequence[UnreadImage]) -> Iterable[str]:
    by_reason: dict[str, list[str]] = {}
    for image in unread:
        by_reason.setdefault(image.reason, []).append(image.identity.sop_instance_uid)
    for reason, uids in by_reason.items():
        count = "1 image" if len(uids) == 1 else f"{len(uids)} images"
        yield f"Not read, {count}: {reason}. SOP Instance UID: {', '.join(uids)}"


def _section(heading: str, items: Sequence[ContentItem]) -> ContainerContentItem:
    section = ContainerContentItem(
        concept("heading", heading), is_content_continuous=False, relationship_type=_CONTAINS
    )
    section.ContentSequence = ContentSequence(items)
    return section


def _text(
    name: CodedConcept, value: str, relationship: RelationshipTypeValues = _CONTAINS
) -> TextContentItem:
    return TextContentItem(name, _printable(value), relationship)


def _image(image: SelectedImage) -> ImageContentItem:
    identity = image.instance.identity
    return ImageContentItem(
        concept("purpose_of_reference", "best_illustration_of_finding"),
        identity.sop_class_uid,
        identity.sop_instance_uid,
        relationship_type=_CONTAINS,
    )


def _printable(value: str) -> str:
    """Return *value* without the control characters that a text value may not hold (PS3.5 6.1.3)."""
    return "".join(each for each in value if each.isprintable() or each in "\n\r\t").strip()
