"""Headers whose texts are in other character sets than they state."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from support.drafts import draft_of
from support.encoded_texts import encoded
from unit.dicom.conftest import chest

from echo_node.dicom.attributes import study_attributes
from echo_node.dicom.documents.encoders import dicom_encoder
from echo_node.dicom.header import Header, read_header
from echo_node.dicom.header_values import text
from echo_node.dicom.instance_file import instance_from_file
from echo_node.dicom.selection.headers import StudyHeaders
from echo_node.dicom.selection.patient_identity import patient_difference_in_words
from echo_node.domain.drafts.draft import compose
from echo_node.domain.drafts.fixed_texts import ENGLISH
from echo_node.domain.studies.study import HeaderRemark, SelectedImage
from echo_node.errors import MustBeHeld
from echo_node.hl7.oru import OruEncoder
from echo_node.settings import DocumentKind

_GBK, _UTF_8 = "张^三".encode("gbk"), "Müller^Jörg".encode()

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")


def header(of_sender: tuple[str, ...] = (), **values: bytes | None) -> Header:
    return read_header(io.BytesIO(encoded(chest(), **values)), character_set_of_sender=of_sender)


def test_names_and_descriptions_are_characters() -> None:
    read = header(SpecificCharacterSet=b"GB18030", PatientName=_GBK, StudyDescription="胸部".encode("gbk"))
    assert (text(read, "PatientName"), text(read, "StudyDescription")) == ("张^三", "胸部")
    assert read.remarks == ()


@pytest.mark.parametrize("stated", [b"ISO_IR 100", None, b"", b"IS", b"ISO 2022 IR 6\\IS", b"a\xffb"])
def test_utf_8_is_recognised(stated: bytes | None) -> None:
    read = header(SpecificCharacterSet=stated, PatientName=_UTF_8)
    assert text(read, "PatientName") == "Müller^Jörg"
    assert read.remarks == (HeaderRemark.REPAIRED_TEXT,)


def test_a_short_text_is_utf_8_if_another_one_is() -> None:
    read = header(SpecificCharacterSet=None, PatientName="Ли".encode(), InstitutionName="Клиника".encode())
    assert (text(read, "PatientName"), text(read, "InstitutionName")) == ("Ли", "Клиника")


def test_what_cannot_be_read_is_left_out() -> None:
    read = header(SpecificCharacterSet=None, PatientName=b"Zhang^San=" + _GBK, StudyDescription=b"CT " + _GBK)
    assert (text(read, "PatientName"), text(read, "StudyDescription")) == ("Zhang^San", "CT")
    assert read.remarks == (HeaderRemark.UNREADABLE_TEXT,)


def test_the_set_of_the_sender_is_that_of_headers_without_one() -> None:
    for absent in (None, b"", b"\\"):
        read = header(("GB18030",), SpecificCharacterSet=absent, PatientName=_GBK)
        assert (text(read, "PatientName"), read.remarks) == ("张^三", ())
    read = header(("GB18030",), SpecificCharacterSet=b"ISO_IR 100", PatientName=_GBK)
    assert (text(read, "PatientName"), read.remarks) == ("张^三", (HeaderRemark.REPAIRED_TEXT,))


def test_items_have_a_character_set_of_their_own_or_inherit_it() -> None:
    def request() -> Dataset:
        code, item = Dataset(), Dataset()
        code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "1", "99X", "胸"
        item.RequestedProcedureDescription, item.RequestedProcedureCodeSequence = "胸部", [code]
        return item

    image = chest(SpecificCharacterSet="GB18030", RequestAttributesSequence=[request(), request()])
    image.RequestAttributesSequence[1].SpecificCharacterSet = "ISO_IR 192"
    written = encoded(image)
    assert (written.count("胸".encode("gbk")), written.count("胸".encode())) == (2, 2)
    first, second = read_header(io.BytesIO(written)).RequestAttributesSequence
    assert (first.RequestedProcedureDescription, second.RequestedProcedureDescription) == ("胸部", "胸部")
    assert first.RequestedProcedureCodeSequence[0].CodeMeaning == "胸"


def test_delimiters_in_characters_do_not_split_values() -> None:
    read = header(SpecificCharacterSet=b"GB18030", InstitutionName="匼刓医院".encode("gb18030"))
    assert text(read, "InstitutionName") == "匼刓医院"


@pytest.mark.parametrize("value", [b"A\xd5\xc5", b"4\x0711", b"4\x0011", b"4\x1b11"])
@pytest.mark.parametrize("keyword", ["PatientID", "AccessionNumber"])
def test_an_identifier_that_cannot_be_read_as_a_whole_holds_the_study(keyword: str, value: bytes) -> None:
    with pytest.raises(MustBeHeld):
        study_attributes(
            read_header(io.BytesIO(encoded(chest(), SpecificCharacterSet=None, **{keyword: value})))
        )


def test_the_same_name_in_a_wrong_set_is_not_another_patient() -> None:
    good = header(SpecificCharacterSet=b"GB18030", PatientName=_GBK)
    for bad in (
        header(SpecificCharacterSet=b"ISO_IR 100", PatientName=_GBK),
        header(SpecificCharacterSet=None, PatientName=_GBK),
        header(SpecificCharacterSet=b"ISO_IR 100", PatientName="张^三".encode()),
    ):
        assert patient_difference_in_words([good, bad]) is None


def test_no_warning_of_a_library_contains_a_value() -> None:
    file = io.BytesIO(
        encoded(
            chest(), SpecificCharacterSet=b"ISO_IR 192", PatientName=_GBK, StudyDescription=b"\x1b$$ \xff"
        )
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        read_header(file)
    assert caught == []


def test_an_image_is_described_with_the_set_of_its_sender(tmp_path: Path) -> None:
    path = tmp_path / "image.dcm"
    path.write_bytes(encoded(chest(), SpecificCharacterSet=None, PatientName=_GBK))
    image = SelectedImage(instance_from_file(path), "PA")
    assert StudyHeaders().describe(image).header_remarks == (HeaderRemark.UNREADABLE_TEXT,)
    described = StudyHeaders(lambda title: ["GB18030"] if title == "" else []).describe(image)
    assert (described.attributes.text("PatientName"), described.header_remarks) == ("张^三", ())


@pytest.mark.parametrize(
    ("name", "remark"), [(_UTF_8, ENGLISH.repaired_text), (_GBK, ENGLISH.unreadable_text)]
)
def test_every_form_has_the_remark_and_no_control_character(tmp_path: Path, name: bytes, remark: str) -> None:
    path = tmp_path / "image.dcm"
    texts = {
        "SpecificCharacterSet": b"ISO_IR 100",
        "PatientName": name,
        "StudyDescription": b"a\x1b\x01b",
    }
    path.write_bytes(encoded(chest(), **texts))
    draft = draft_of(path)
    assert remark in [each for section in compose(draft).sections for each in section.paragraphs]
    report = dicom_encoder(DocumentKind.BASIC_TEXT_SR).encode(draft).content
    message = OruEncoder("ECHO_NODE").encode(draft).content
    for content in (report, message):
        assert remark.encode()[:40] in content
        assert not {b"\x1b", "\ufffd".encode()} & {content[at : at + 1] for at in range(len(content))}
        assert "Ã".encode() not in content
