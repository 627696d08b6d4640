from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from pathlib import Path
from typing import Any

import pytest
from highdicom.sr import ContainerContentItem, ContentSequence
from pydicom import dcmread
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from echo_node.dicom.documents.sr import StructuredReportEncoder
from echo_node.dicom.instance_file import instance_from_file
from echo_node.dicom.selection.headers import StudyHeaders
from echo_node.dicom.selection.selector import ChestImageSelector
from echo_node.domain.drafts.draft import (
    DEMONSTRATION_NOTICE,
    DRAFT_NOTICE,
    Draft,
)
from echo_node.domain.drafts.fixed_texts import ENGLISH
from echo_node.domain.drafts.report import EncodedDocument, Generation, ModelIdentity, Report, Sentence
from echo_node.domain.studies.study import SelectedImage, Selection, StoredInstance, UnreadImage

Store = Callable[..., StoredInstance]
Sample = Callable[[str], Path]

AT = datetime(2026, 1, 2, 23, 30, 15, 987654, tzinfo=UTC)
DIGEST = "ab" * 32


def report(
    findings: tuple[str, ...] = ("The heart is enlarged.", "No effusion."),
    impression: tuple[str, ...] = ("Cardiomegaly.",),
    *,
    demonstration: bool = True,
    language: str = "en",
) -> Report:
    return Report(
        tuple(Sentence(text) for text in findings),
        tuple(Sentence(text) for text in impression),
        language,
        ModelIdentity("echo-demo", "2026.1", DIGEST, demonstration),
        Generation("one_step", 20, 3, 0.1),
    )


def selection_of(*instances: StoredInstance) -> Selection:
    return ChestImageSelector().select(instances)


def encode(
    selection: Selection,
    draft: Report | None = None,
    *,
    predecessor: EncodedDocument | None = None,
    zone: tzinfo = UTC,
    **changes: Any,
) -> EncodedDocument:
    made = replace(Draft(draft or report(), selection, "1.2.3", 1, AT), **changes)
    return StructuredReportEncoder(zone=zone).encode(made, predecessor)


def opened(document: EncodedDocument) -> Dataset:
    return dcmread(io.BytesIO(document.content))


def items(node: Dataset) -> Iterator[Dataset]:
    for item in node.get("ContentSequence", []):
        yield item
        yield from items(item)


def section(document: Dataset, heading: str) -> list[Dataset]:
    (found,) = [
        item
        for item in document.ContentSequence
        if item.ValueType == "CONTAINER" and item.ConceptNameCodeSequence[0].CodeMeaning == heading
    ]
    return list(found.ContentSequence)


def texts(document: Dataset, heading: str) -> list[str]:
    return [item.TextValue for item in section(document, heading) if item.ValueType == "TEXT"]


def test_what_the_document_is(stored: Store) -> None:
    encoded = encode(selection_of(stored()))
    document = opened(encoded)
    assert encoded.kind == "basic-text-sr"
    assert document.SOPClassUID == encoded.sop_class_uid == "1.2.840.10008.5.1.4.1.1.88.11"
    assert (
        document.SOPInstanceUID == encoded.sop_instance_uid == document.file_meta.MediaStorageSOPInstanceUID
    )
    assert document.file_meta.TransferSyntaxUID == encoded.transfer_syntax_uid == ExplicitVRLittleEndian
    assert document.StudyInstanceUID == encoded.study_instance_uid == "1.2.3"
    assert document.CompletionFlag == "PARTIAL"
    assert document.VerificationFlag == "UNVERIFIED"
    assert document.PreliminaryFlag == "PRELIMINARY"
    assert "VerifyingObserverSequence" not in document
    assert document.Modality == "SR"
    assert document.SeriesDescription == "AI DRAFT - UNVERIFIED"
    assert document.SeriesNumber == 9901
    assert document.InstanceNumber == 1
    assert document.SpecificCharacterSet == "ISO_IR 192"
    assert document.ContentTemplateSequence[0].TemplateIdentifier == "2000"
    assert document.PerformedProcedureCodeSequence == []
    assert document.ReferencedPerformedProcedureStepSequence == []


@pytest.mark.parametrize(
    ("orientation", "is_said"),
    [
        (None, True),
        (["", ""], True),
        (["L", "R"], True),  # along one axis: it says nothing
        (["L", "F"], False),
        (["R", "F"], False),  # mirrored, and turned before it is read
        (["R", "H"], False),
        (["F", "L"], False),
    ],
)
def test_an_orientation_that_is_not_stated_is_told(
    stored: Store, orientation: list[str] | None, is_said: bool
) -> None:
    selection = selection_of(stored(PatientOrientation=orientation))
    told = texts(opened(encode(selection)), "Current Procedure Descriptions")
    assert (ENGLISH.unstated_orientation in told) is is_said


def test_what_the_picture_alone_told_is_said_before_what_was_not_read(stored: Store) -> None:
    image = StudyHeaders().describe(
        SelectedImage(
            stored(ViewPosition=None, PatientOrientation=None),
            "frontal",
            is_view_stated=False,
            looks_mirrored=True,
        )
    )
    told = texts(opened(encode(Selection((image,), ()))), "Current Procedure Descriptions")
    assert told[0].startswith("Images read: 1. View: frontal (PA or AP not stated).")
    assert told[2:5] == [ENGLISH.recognised_view, ENGLISH.looks_mirrored, ENGLISH.unstated_orientation]
    plain = texts(opened(encode(selection_of(stored()))), "Current Procedure Descriptions")
    assert not {ENGLISH.recognised_view, ENGLISH.looks_mirrored, ENGLISH.unstated_orientation} & set(plain)


def test_the_same_inputs_give_the_same_bytes(stored: Store) -> None:
    selection = selection_of(stored())
    assert encode(selection) == encode(selection)


def test_what_changes_the_object(stored: Store) -> None:
    selection, other = selection_of(stored()), selection_of(stored())
    first = encode(selection)
    later = encode(selection, at=AT + timedelta(hours=1))
    assert later.sop_instance_uid == first.sop_instance_uid
    second = opened(encode(selection, revision=2))
    assert second.SOPInstanceUID != first.sop_instance_uid
    assert second.InstanceNumber == 2
    assert second.SeriesInstanceUID == opened(first).SeriesInstanceUID
    assert encode(other).sop_instance_uid != first.sop_instance_uid


def test_patient_study_and_order_are_those_of_the_image(stored: Store) -> None:
    document = opened(encode(selection_of(stored(StudyDescription="XR chest", IssuerOfPatientID="HOSP"))))
    assert document.PatientName == "Doe^Jane"
    assert document.PatientID == "4711"
    assert document.IssuerOfPatientID == "HOSP"
    assert document.PatientBirthDate == "19600102"
    assert document.StudyDate == "20260102"
    assert document.StudyID == "S1"
    assert document.StudyDescription == "XR chest"
    assert document.AccessionNumber == "A1"
    (request,) = document.ReferencedRequestSequence
    assert request.AccessionNumber == "A1"
    assert request.StudyInstanceUID == "1.2.3"


def test_the_order_behind_the_images_is_referenced(stored: Store) -> None:
    step = Dataset()
    step.RequestedProcedureID = "RP7"
    step.RequestedProcedureDescription = "Chest PA"
    (request,) = opened(
        encode(selection_of(stored(RequestAttributesSequence=[step])))
    ).ReferencedRequestSequence
    assert request.RequestedProcedureID == "RP7"
    assert request.RequestedProcedureDescription == "Chest PA"
    assert request.AccessionNumber == "A1"
    assert request.RequestedProcedureCodeSequence == []


TYPE_2 = [
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime",
    "ReferringPhysicianName", "StudyID", "AccessionNumber",
]  # fmt: skip


def test_absent_attributes_survive(stored: Store) -> None:
    document = opened(encode(selection_of(stored(**dict.fromkeys(TYPE_2)))))
    for keyword in TYPE_2:
        assert keyword in document
        assert not document[keyword].value
    assert "ReferencedRequestSequence" not in document


def test_invalid_values_become_empty_and_are_remarked(stored: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    import pydicom.config

    monkeypatch.setattr(pydicom.config.settings, "writing_validation_mode", pydicom.config.IGNORE)
    image = stored(PatientBirthDate="2.1.1960", PatientSex="femme", StudyID="S" * 20, StudyTime="25h")
    selection = selection_of(image)
    document = opened(encode(selection))
    assert document.PatientBirthDate == ""
    assert document.PatientSex == ""
    assert document.StudyTime == ""
    assert document.StudyID == ""
    remark = ENGLISH.ignored_values.format(keywords="PatientBirthDate, PatientSex, StudyID, StudyTime")
    assert remark in texts(document, "Current Procedure Descriptions")


@pytest.mark.parametrize("vr", ["LT", "ST", "UT"])
def test_a_text_that_may_contain_backslashes_is_one_value(
    make_chest: Callable[..., Dataset], tmp_path: Path, vr: str
) -> None:
    image = make_chest()
    for keyword, value in {
        "StudyID": "S\\1",
        "StudyDescription": "Chest\\PA",
        "ReferringPhysicianName": "A\\B",
    }.items():
        image[keyword] = DataElement(keyword, vr, value)
    image.save_as(tmp_path / "image.dcm", enforce_file_format=True)
    document = opened(encode(selection_of(instance_from_file(tmp_path / "image.dcm"))))
    assert (document.StudyID, document.StudyDescription) == ("S/1", "Chest/PA")
    assert str(document.ReferringPhysicianName) == ""


@pytest.mark.parametrize(
    ("charset", "name"),
    [
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        ("ISO_IR 192", "Wang^XiaoDong=王^小東"),
        ("GB18030", "Wang^XiaoDong=王^小东"),
        ("ISO_IR 127", "قباني^لنزار"),
        ("ISO_IR 100", "Buc^Jérôme"),
        ("ISO_IR 144", "Люкceмбypг"),
        (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
    ],
)
def test_names_in_every_script_survive(stored: Store, charset: str | list[str], name: str) -> None:
    step = Dataset()
    step.RequestedProcedureDescription = "Thorax"
    image = stored(
        SpecificCharacterSet=charset,
        PatientName=name,
        ReferringPhysicianName=name,
        RequestAttributesSequence=[step],
    )
    document = opened(encode(selection_of(image), report(findings=("胸部に異常なし。",), language="ja")))
    assert str(document.PatientName) == name
    assert str(document.ReferringPhysicianName) == name
    assert name.encode() in encode(selection_of(image)).content
    assert texts(document, "Findings") == ["胸部に異常なし。"]
    assert document.ContentSequence[0].ConceptCodeSequence[0].CodeValue == "ja"


def test_the_reader_is_warned_before_anything_else(stored: Store) -> None:
    document = opened(encode(selection_of(stored())))
    first = next(
        item for item in items(document) if item.RelationshipType == "CONTAINS" and item.ValueType == "TEXT"
    )
    assert first.TextValue == f"{DEMONSTRATION_NOTICE} {DRAFT_NOTICE}"
    assert "NOT FOR CLINICAL USE" in document.ContributingEquipmentSequence[0].ContributionDescription


def test_a_model_that_is_no_demonstration_says_only_that_it_is_a_draft(stored: Store) -> None:
    document = opened(encode(selection_of(stored()), report(demonstration=False)))
    assert texts(document, "Summary") == [DRAFT_NOTICE]
    assert DEMONSTRATION_NOTICE not in str(document)


def test_the_sections(stored: Store) -> None:
    image = stored()
    document = opened(encode(selection_of(image)))
    assert document.ConceptNameCodeSequence[0].CodeValue == "18748-4"
    assert document.ConceptNameCodeSequence[0].CodeMeaning == "Diagnostic Imaging Report"
    assert texts(document, "Findings") == ["The heart is enlarged.", "No effusion."]
    assert texts(document, "Impressions") == ["Cardiomegaly."]
    (picture,) = [item for item in section(document, "Findings") if item.ValueType == "IMAGE"]
    assert picture.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == image.identity.sop_instance_uid
    assert picture.ConceptNameCodeSequence[0].CodeValue == "121080"


def test_a_sentence_of_which_the_model_is_unsure_says_so(stored: Store) -> None:
    said = (
        Sentence("No effusion.", 0.49),
        Sentence("Clear.", 0.5),
        Sentence("Normal."),
        Sentence("Big.", 0.9),
    )
    document = opened(encode(selection_of(stored()), replace(report(), findings=said)))
    assert texts(document, "Findings") == [
        "[LOW CONFIDENCE] No effusion.",
        "Clear. (moderate confidence)",
        "Normal.",
        "Big. (high confidence)",
    ]


@pytest.mark.parametrize(
    ("findings", "impression", "heading", "line"),
    [
        ((), ("Normal.",), "Findings", "The model wrote no findings."),
        (("Normal.",), (), "Impressions", "The model wrote no impression."),
        (("Normal.",), (" \n", "\x00"), "Impressions", "The model wrote no impression."),
    ],
)
def test_a_section_that_was_left_out_is_said_to_be(
    stored: Store, findings: tuple[str, ...], impression: tuple[str, ...], heading: str, line: str
) -> None:
    document = opened(encode(selection_of(stored()), report(findings, impression)))
    assert texts(document, heading) == [line]


def test_evidence_lists_what_was_read_and_the_text_what_was_not(stored: Store) -> None:
    read, lateral, late = (
        stored(),
        stored(ViewPosition="LL", PatientOrientation=["A", "F"]),
        stored(ViewPosition="LL"),
    )
    document = opened(encode(selection_of(lateral, read, late)))
    (study,) = document.CurrentRequestedProcedureEvidenceSequence
    (series,) = study.ReferencedSeriesSequence
    (reference,) = series.ReferencedSOPSequence
    assert study.StudyInstanceUID == "1.2.3"
    assert series.SeriesInstanceUID == "1.2.3.0"
    assert reference.ReferencedSOPInstanceUID == read.identity.sop_instance_uid
    told = texts(document, "Current Procedure Descriptions")
    assert told[0].startswith("Images read: 1. View: PA.")
    assert told[-1] == (
        "Not read, 2 images: a lateral view, not a frontal one. "
        f"SOP Instance UID: {lateral.identity.sop_instance_uid}, {late.identity.sop_instance_uid}"
    )


def test_an_unstated_orientation_is_told(stored: Store) -> None:
    told = texts(
        opened(encode(selection_of(stored(PatientOrientation=None)))), "Current Procedure Descriptions"
    )
    assert any("does not state the orientation" in line for line in told)
    told = texts(opened(encode(selection_of(stored()))), "Current Procedure Descriptions")
    assert not any("orientation" in line for line in told)


def test_the_observer_is_the_program_with_its_checkpoint(stored: Store) -> None:
    document = opened(encode(selection_of(stored())))
    context = {
        item.ConceptNameCodeSequence[0].CodeValue: item
        for item in document.ContentSequence
        if item.RelationshipType == "HAS OBS CONTEXT"
    }
    assert context["121005"].ConceptCodeSequence[0].CodeValue == "121007"
    assert context["121012"].UID.startswith("2.25.")
    assert context["121013"].TextValue.startswith("echo-node ")
    assert context["121015"].TextValue == "echo-demo 2026.1"
    assert context["121016"].TextValue == DIGEST[:16]
    (equipment,) = document.ContributingEquipmentSequence
    assert equipment.ManufacturerModelName == "echo-demo"
    assert equipment.SoftwareVersions == "2026.1"
    assert DIGEST in equipment.ContributionDescription


@pytest.mark.parametrize(
    ("offset", "date", "time"),
    [
        ("-0400", "20260102", "193015"),
        ("+0530", "20260103", "050015"),
        (None, "20260102", "233015"),
        ("9", "20260102", "233015"),
    ],
)
def test_dates_are_in_the_zone_of_the_study(stored: Store, offset: str | None, date: str, time: str) -> None:
    document = opened(encode(selection_of(stored(TimezoneOffsetFromUTC=offset))))
    assert (document.ContentDate, document.ContentTime) == (date, time)


def test_the_machine_zone_is_used_where_nothing_is_stated(stored: Store) -> None:
    document = opened(encode(selection_of(stored()), zone=timezone(timedelta(hours=9))))
    assert (document.ContentDate, document.ContentTime) == ("20260103", "083015")


def test_a_new_revision_can_name_its_predecessor(stored: Store) -> None:
    selection = selection_of(stored())
    first = encode(selection)
    (study,) = opened(encode(selection, revision=2, predecessor=first)).PredecessorDocumentsSequence
    (reference,) = study.ReferencedSeriesSequence[0].ReferencedSOPSequence
    assert reference.ReferencedSOPInstanceUID == first.sop_instance_uid
    assert study.ReferencedSeriesSequence[0].SeriesInstanceUID == opened(first).SeriesInstanceUID


def test_highdicom_reads_the_tree(stored: Store) -> None:
    document = opened(encode(selection_of(stored()), report(language="zh-Hant-TW-x-hospital")))
    tree = ContentSequence.from_sequence(document.ContentSequence)
    assert [str(item.value_type.value) for item in tree][:2] == ["CODE", "CODE"]
    assert tree[0].value.value == "zh-Hant-TW-x-hospital"
    headings = [item.name.meaning for item in tree if isinstance(item, ContainerContentItem)]
    assert headings == ["Summary", "Findings", "Impressions", "Current Procedure Descriptions"]


def test_only_the_encoder_loads_highdicom() -> None:
    rest = ["scp.provider", "scu.c_store", "documents.sr_reader", "selection.selector", "image.pixels"]
    imports = "; ".join(f"import echo_node.dicom.{module}" for module in rest)
    program = f"import sys; {imports}; sys.exit('highdicom' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_the_real_chest(sample: Sample) -> None:
    image = instance_from_file(sample("RG1_UNCR"))
    document = opened(encode(selection_of(image), study_instance_uid=image.identity.study_instance_uid))
    assert document.PatientName == "CompressedSamples^RG1"
    assert (document.ContentDate, document.ContentTime) == ("20260102", "193015")
    assert document.TimezoneOffsetFromUTC == "-0400"


def test_unread_images_of_other_reasons_are_told_apart(stored: Store) -> None:
    image = stored()
    other = stored().identity
    selection = Selection(
        selection_of(image).images, (UnreadImage(other, "too dark"), UnreadImage(other, "too bright"))
    )
    told = texts(opened(encode(selection)), "Current Procedure Descriptions")
    assert [line for line in told if line.startswith("Not read, 1 image: too")] == told[-2:]
