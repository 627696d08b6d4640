"""A pending draft as a file, stored until its last form is made: patient data, as the forms are.

The file names the images that were read by their UIDs, and contains the attributes that documents
repeat and the newer remarks (`headers`). Earlier program versions neither write nor read `headers`:
they read the header of the image's file. Old and new versions read each other's files, so that a
fleet can be upgraded machine by machine.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any, TypedDict

from echo_node.domain.drafts.comparison import Comparison, PriorStudy
from echo_node.domain.drafts.draft import Draft
from echo_node.domain.drafts.report import Generation, ModelIdentity, Report, Sentence
from echo_node.domain.studies.attributes import Attribute, AttributeItem, StudyAttributes
from echo_node.domain.studies.study import (
    HeaderRemark,
    ImageKind,
    InstanceIdentity,
    SelectedImage,
    Selection,
    StoredInstance,
    UnreadImage,
)
from echo_node.errors import PermanentError

_FORMAT = 1


def encoded(draft: Draft) -> bytes:
    """Return the draft as JSON."""
    kept = {
        "format": _FORMAT,
        "report": asdict(draft.report),
        "images": [
            {
                "sop_instance_uid": each.instance.identity.sop_instance_uid,
                "view": each.view,
                "is_view_stated": each.is_view_stated,
                "looks_mirrored": each.looks_mirrored,
            }
            for each in draft.selection.images
        ],
        "headers": [
            {
                "is_orientation_stated": each.is_orientation_stated,
                "looks_doubtful": each.looks_doubtful,
                "is_body_part_stated": each.is_body_part_stated,
                "companion": each.kind.companion,
                "attributes": asdict(each.attributes),
                "header_remarks": each.header_remarks,
            }
            for each in draft.selection.images
        ],
        "unread": [
            {"identity": asdict(each.identity), "reason": each.reason} for each in draft.selection.unread
        ],
        "study_instance_uid": draft.study_instance_uid,
        "revision": draft.revision,
        "at": draft.at.isoformat(),
        "comparison": asdict(draft.comparison) if draft.comparison else None,
    }
    return json.dumps(kept).encode()


def decoded(content: bytes, instances: Mapping[str, StoredInstance]) -> Draft:
    """Return the draft.

    Args:
        content: result of `encoded`.
        instances: images that the draft was made from, by SOP Instance UID.

    Raises:
        PermanentError: the content is of another program, or an image is missing.
    """
    try:
        kept = json.loads(content)
        if kept["format"] != _FORMAT:
            raise PermanentError("a newer program version stored the draft: use that version")
        headers = kept.get("headers") or [{}] * len(kept["images"])
        images = [
            SelectedImage(instances[image.pop("sop_instance_uid")], **image, **_header(header))
            for image, header in zip(kept["images"], headers, strict=True)
        ]
        unread = [
            UnreadImage(InstanceIdentity(**each["identity"]), each["reason"]) for each in kept["unread"]
        ]
        return Draft(
            _report(kept["report"]),
            Selection(tuple(images), tuple(unread)),
            kept["study_instance_uid"],
            kept["revision"],
            datetime.fromisoformat(kept["at"]),
            _comparison(kept["comparison"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise PermanentError(f"the pending draft cannot be used ({type(error).__name__})") from error


class _Header(TypedDict, total=False):
    is_orientation_stated: bool
    looks_doubtful: bool
    is_body_part_stated: bool
    kind: ImageKind
    attributes: StudyAttributes
    header_remarks: tuple[HeaderRemark, ...]


def _header(kept: dict[str, Any]) -> _Header:
    """Return the fields of an image's header; none if an earlier version wrote the file."""
    if not kept:
        return {}
    attributes = kept["attributes"]
    return {
        "is_orientation_stated": kept["is_orientation_stated"],
        "looks_doubtful": kept.get("looks_doubtful", False),
        "is_body_part_stated": kept.get("is_body_part_stated", True),
        "kind": ImageKind(companion=kept.get("companion", "")),
        "attributes": StudyAttributes(
            _item(attributes["patient_and_study"]),
            tuple(map(_item, attributes["requests"])),
            tuple(attributes.get("ignored", ())),
        ),
        "header_remarks": tuple(map(HeaderRemark, kept.get("header_remarks", ()))),
    }


def _item(kept: list[dict[str, Any]]) -> AttributeItem:
    return tuple(
        Attribute(each["keyword"], each["vr"], tuple(each["values"]), tuple(map(_item, each["items"])))
        for each in kept
    )


def _comparison(kept: dict[str, Any] | None) -> Comparison | None:
    if kept is None:
        return None
    prior = kept.pop("prior")
    if prior is not None:
        prior = PriorStudy(**{**prior, "views": tuple(prior["views"])})
    return Comparison(**{**kept, "left_out": tuple(kept["left_out"])}, prior=prior)


def _report(kept: dict[str, Any]) -> Report:
    return Report(
        findings=tuple(Sentence(**each) for each in kept["findings"]),
        impression=tuple(Sentence(**each) for each in kept["impression"]),
        language=kept["language"],
        model=ModelIdentity(**kept["model"]),
        generation=Generation(**kept["generation"]),
    )
