"""The draft as an HL7 2.5.1 ORU^R01 message: a preliminary result for a reporting system.

Its status is preliminary where such systems look for it: OBR-25 and OBX-11 are `P`. It names the
order as IHE does: OBR-2 and OBR-3 are the numbers of placer and filler, OBR-18 is the accession
number, OBR-19 the requested procedure ID. It names no receiver (MSH-5, MSH-6), so that its bytes
are the same for all destinations.
Source: HL7 2.5.1, 2.15, 3.4.2, 7.4; IHE RAD TF-2 4.4.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime, tzinfo

from echo_node import __version__, codes
from echo_node.domain.drafts.draft import (
    BANNER,
    MANUFACTURER,
    Content,
    Draft,
    Section,
    SectionName,
    compose,
)
from echo_node.domain.drafts.report import EncodedDocument, ModelIdentity
from echo_node.domain.drafts.subject import Code, Order, Subject
from echo_node.domain.identifiers import document_uid
from echo_node.hl7.message import (
    ENCODING_CHARACTERS,
    REPETITION,
    components,
    escaped,
    message,
    segment,
    timestamp,
)
from echo_node.settings import DocumentKind

_PRELIMINARY = "P"
_LEGAL, _UNSPECIFIED = "L", "U"  # table 0200, name type
_SEXES = frozenset("MFO")
_REPRESENTATIONS = "AIP"  # alphabetic, ideographic, phonetic: DICOM's order of component groups
_STUDY = Code("113014", "DCM", "DICOM Study")


class OruEncoder:
    """Implements the ReportEncoder port.

    Args:
        sending_application: our name (MSH-3).
        zone: time zone if the image states none; the machine's by default.
    """

    def __init__(self, sending_application: str, *, zone: tzinfo | None = None) -> None:
        self.kind = DocumentKind.ORU_R01
        self._sending_application = sending_application
        self._zone = zone

    def encode(self, draft: Draft, predecessor: EncodedDocument | None = None) -> EncodedDocument:
        """Return the message. It replaces an earlier one with the same filler order number."""
        subject = draft.subject
        model, inputs = draft.report.model, draft.selection.images
        uid = document_uid(
            draft.study_instance_uid,
            draft.revision,
            model.digest,
            self.kind,
            [image.instance.identity.sop_instance_uid for image in inputs],
        )
        zone = subject.zone or self._zone
        segments = [
            self._header(uid, draft.at.astimezone(zone)),
            *_software(model),
            _patient(subject),
        ]
        content = compose(draft)
        for number, order in enumerate(subject.orders, start=1):
            segments.append(_request(number, order, subject, draft.at.astimezone(zone)))
            segments += _observations(content, draft.study_instance_uid)
        return EncodedDocument(self.kind, draft.study_instance_uid, uid, "", "", message(segments))

    def _header(self, uid: str, made_at: datetime) -> str:
        """Return the MSH segment, whose first field is the separator itself."""
        fields = {
            1: ENCODING_CHARACTERS,
            2: escaped(self._sending_application),
            6: timestamp(made_at),
            8: components("ORU", "R01", "ORU_R01"),
            9: hashlib.sha256(uid.encode()).hexdigest()[:20],
            10: "P",
            11: "2.5.1",
            17: "UNICODE UTF-8",
        }
        return segment("MSH", fields)


def _software(model: ModelIdentity) -> list[str]:
    """Return SFT segments: this program, and the model with the start of its digest."""
    program = {1: MANUFACTURER, 2: escaped(__version__[:15]), 3: MANUFACTURER, 4: escaped(__version__[:20])}
    weights = {
        1: MANUFACTURER,
        2: escaped(model.version[:15]),
        3: escaped(model.name[:20]),
        4: escaped(model.digest[:20]),
    }
    return [segment("SFT", program), segment("SFT", weights)]


def _patient(subject: Subject) -> str:
    groups = subject.patient_name.split("=")
    names = [
        _name(group, representation)
        for group, representation in zip(groups, _REPRESENTATIONS, strict=False)
        if group.strip("^ ")
    ]
    fields = {
        1: "1",
        3: components(subject.patient_id, "", "", subject.issuer_of_patient_id),
        5: REPETITION.join(names) or components("", "", "", "", "", "", _UNSPECIFIED),
        7: escaped(subject.birth_date),
        8: subject.sex if subject.sex in _SEXES else "U",
    }
    return segment("PID", fields)


def _request(number: int, order: Order, subject: Subject, made_at: datetime) -> str:
    title = codes.code("title", "diagnostic_imaging_report")
    code = order.procedure_code or Code(
        title.value, title.scheme, order.procedure_description or title.meaning
    )
    physician = _parts(subject.referring_physician.split("=")[0])
    time = subject.study_time.partition(".")[0]
    observed = escaped(subject.study_date + time) if subject.study_date else ""
    fields = {
        1: str(number),
        2: escaped(order.placer_number),
        3: escaped(order.filler_number or order.accession_number),
        4: _coded(code),
        7: observed,
        16: components("", *physician) if any(physician) else "",
        18: escaped(order.accession_number),
        19: escaped(order.procedure_id),
        22: timestamp(made_at),
        24: "RAD",
        25: _PRELIMINARY,
    }
    return segment("OBR", fields)


def _observations(content: Content, study_instance_uid: str) -> Iterator[str]:
    """Yield an OBX segment for the study, and one for each paragraph."""
    yield _observation(1, "HD", _STUDY, "1", components("", study_instance_uid, "ISO"))
    number = 1
    for section in content.sections:
        heading = codes.code("heading", section.name)
        for place, paragraph in enumerate(_paragraphs(section), start=1):
            number += 1
            yield _observation(number, "FT", heading, str(place), escaped(paragraph))


def _paragraphs(section: Section) -> tuple[str, ...]:
    return (BANNER, *section.paragraphs) if section.name is SectionName.SUMMARY else section.paragraphs


def _observation(number: int, value_type: str, code: Code, place: str, value: str) -> str:
    fields = {1: str(number), 2: value_type, 3: _coded(code), 4: place, 5: value, 11: _PRELIMINARY}
    return segment("OBX", fields)


def _coded(code: Code) -> str:
    return components(code.value, code.meaning, code.scheme)


def _name(group: str, representation: str) -> str:
    """Return an XPN: a legal name in one representation."""
    return components(*_parts(group), "", _LEGAL, representation)


def _parts(group: str) -> tuple[str, str, str, str, str]:
    """Return family, given and middle name, suffix and prefix, in the order of HL7."""
    family, given, middle, prefix, suffix = (*group.split("^"), "", "", "", "", "")[:5]
    return family.strip(), given.strip(), middle.strip(), suffix.strip(), prefix.strip()
