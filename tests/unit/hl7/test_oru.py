"""ORU^R01: preliminary in every field, with its order, and conformant for another validator."""

from __future__ import annotations

import contextlib
import re
from datetime import UTC, timedelta, timezone
from pathlib import Path

import pytest
from hl7apy.exceptions import HL7apyException
from hl7apy.parser import parse_message
from hl7apy.validation import Validator
from support import drafts
from support.mllp import unescaped

from echo_node.domain.drafts.draft import BANNER, Draft, compose
from echo_node.hl7.oru import OruEncoder


def draft(folder: Path, language: str = "en", header: str = "whole") -> Draft:
    image, comparison = drafts.image(folder / "image.dcm", language, header), drafts.COMPARISONS[header]
    return drafts.draft_of(image, drafts.report(language), comparison=comparison)


def encoded(made: Draft) -> str:
    return OruEncoder("ECHO_NODE", zone=UTC).encode(made).content.decode()


def segments(text: str, name: str) -> list[list[str]]:
    """Return the fields of each segment of this name; a field's number is its place."""
    found = [line.split("|") for line in text.split("\r") if line.startswith(f"{name}|")]
    return [["MSH", "|", *fields[1:]] if name == "MSH" else fields for fields in found]


@pytest.mark.parametrize("header", drafts.HEADERS)
@pytest.mark.parametrize("language", drafts.LANGUAGES)
class TestEveryLanguageAndHeader:
    def test_is_valid(self, language: str, header: str, tmp_path: Path) -> None:
        text = encoded(draft(tmp_path, language, header))
        parsed = parse_message(text, find_groups=True)
        errors = tmp_path / "errors.txt"
        with contextlib.suppress(HL7apyException):  # the first error is raised, and all are in the file
            Validator.validate(parsed, report_file=str(errors))
        # A patient's number cannot be made up: a receiver may refuse a message without one.
        expected = ["Error: Missing required child PID.PID_3"] if header == "bare" else []
        assert [line for line in errors.read_text().splitlines() if line.startswith("Error")] == expected

    def test_says_what_the_other_forms_say(self, language: str, header: str, tmp_path: Path) -> None:
        made = draft(tmp_path, language, header)
        said = [unescaped(fields[5]) for fields in segments(encoded(made), "OBX") if fields[2] == "FT"]
        content = compose(made)
        assert said == [BANNER, *(text for section in content.sections for text in section.paragraphs)]

    def test_is_preliminary_throughout(self, language: str, header: str, tmp_path: Path) -> None:
        text = encoded(draft(tmp_path, language, header))
        assert [fields[25] for fields in segments(text, "OBR")] == ["P"]
        assert {fields[11] for fields in segments(text, "OBX")} == {"P"}
        assert text.encode().decode() == text
        assert not set(text) & set("\n\x0b\x1c")


def test_the_header_names_message_version_and_character_set(tmp_path: Path) -> None:
    made = draft(tmp_path)
    (msh,) = segments(encoded(made), "MSH")
    assert (msh[3], msh[9], msh[11], msh[12], msh[18]) == (
        "ECHO_NODE", "ORU^R01^ORU_R01", "P", "2.5.1", "UNICODE UTF-8",
    )  # fmt: skip
    assert msh[7] == "20260101230405-0400"  # in the zone of the images
    assert len(msh[10]) == 20


def test_patient_order_and_study_are_those_of_the_image(tmp_path: Path) -> None:
    text = encoded(draft(tmp_path))
    (pid,), (obr,) = segments(text, "PID"), segments(text, "OBR")
    assert (pid[3], pid[5], pid[7], pid[8]) == ("9RG1", "Buc^Jérôme^^PhD^Dr.^^L^A", "19400305", "F")
    assert (unescaped(obr[2]), obr[3], obr[4]) == ("P&1", "F1", "24648-8^XR Chest PA^LN")
    assert (obr[16], obr[18], obr[19], obr[24]) == ("^Buc^Jérôme^^PhD^Dr.", "A77", "RP7", "RAD")
    study = segments(text, "OBX")[0]
    assert study[2:4] == ["HD", "113014^DICOM Study^DCM"]
    assert re.fullmatch(r"\^[0-9.]+\^ISO", study[5])


def test_a_name_in_three_ways_of_writing_is_repeated(tmp_path: Path) -> None:
    (pid,) = segments(encoded(draft(tmp_path, "ja")), "PID")
    assert pid[5] == "Yamada^Tarou^^^^^L^A~山田^太郎^^^^^L^I~やまだ^たろう^^^^^L^P"


def test_odd_identifiers_come_through_whole(tmp_path: Path) -> None:
    text = encoded(draft(tmp_path, header="odd"))
    (pid,), (obr,) = segments(text, "PID"), segments(text, "OBR")
    assert (unescaped(pid[3]), pid[5]) == ("4 7|1^1~&", "^^^^^^U")
    assert (unescaped(obr[18]), unescaped(obr[3]), obr[16]) == ("|^~&/#'\"<A> é", "|^~&/#'\"<A> é", "")


def test_where_nothing_is_known_the_order_is_still_there(tmp_path: Path) -> None:
    text = encoded(draft(tmp_path, header="bare"))
    (obr,) = segments(text, "OBR")
    assert obr[4] == "18748-4^Diagnostic Imaging Report^LN"
    (pid,) = segments(text, "PID")
    assert (pid[3], pid[5], pid[8]) == ("", "^^^^^^U", "U")


def test_the_same_draft_is_the_same_message_and_a_new_revision_is_another(tmp_path: Path) -> None:
    made = draft(tmp_path)
    encoder = OruEncoder("ECHO_NODE", zone=timezone(timedelta(hours=9)))
    first = encoder.encode(made)
    assert encoder.encode(made) == first
    assert not first.is_dicom
    second = encoder.encode(drafts.draft_of(tmp_path / "image.dcm", revision=2), predecessor=first)
    assert second.sop_instance_uid != first.sop_instance_uid
    ids = [segments(each.content.decode(), "MSH")[0][10] for each in (first, second)]
    assert ids[0] != ids[1]
