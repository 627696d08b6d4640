"""Drafts in four languages of images with whole, bare and odd headers, for every form."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset

from echo_node.dicom.instance_file import instance_from_file
from echo_node.dicom.selection.selector import ChestImageSelector
from echo_node.domain.drafts.comparison import Comparison, PriorStudy
from echo_node.domain.drafts.draft import Draft
from echo_node.domain.drafts.report import Generation, ModelIdentity, Report, Sentence

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
MODEL = ModelIdentity("echo-demo", "3", "5a" * 32, demonstration=True)

COMPARISONS = {
    "whole": Comparison("ARCHIVE", 10, PriorStudy("1.2.3.4", "20250304", ("PA",))),
    "bare": Comparison("ARCHIVE", 1, undescribed=2, left_out=("the patient's birth date differs",)),
    "odd": Comparison("P&C|~^S", 10, obstacle="it did not answer in time"),
}
"""Results of the search for priors, one for each sort of header."""

LANGUAGES = ("en", "zh", "ja", "ar")
HEADERS = ("whole", "bare", "odd")

_SENTENCES = {
    "en": (
        ("The heart is enlarged, with a cardiothoracic ratio of 0.58.", "No pneumothorax."),
        ("Cardiomegaly.", "Possible nodule in the right upper lobe, 8 mm."),
    ),
    "zh": (
        ("双肺纹理清晰，未见明显实变影。", "心影增大，心胸比约0.58。"),
        ("心脏增大。", "右上肺可疑结节影。"),
    ),
    "ja": (("両肺に多発結節影を認める。", "胸水は認めない。"), ("肺転移の疑い。", "心拡大の疑い。")),
    "ar": (
        ("القلب متضخم قليلاً، نسبة القلب إلى الصدر 0.58.", "لا يوجد استرواح صدري."),
        ("تضخم القلب.", "عقيدة محتملة (8 مم) في الفص العلوي الأيمن."),
    ),
}
_NAMES: dict[str, tuple[str | list[str], str]] = {
    "en": ("ISO_IR 100", "Buc^Jérôme^^Dr.^PhD"),
    "zh": ("GB18030", "Wang^XiaoDong=王^小东"),
    "ja": (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    "ar": ("ISO_IR 127", "قباني^لنزار"),
}
_BARE = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID",
    "ReferringPhysicianName", "AccessionNumber", "StudyDescription", "InstitutionName",
    "TimezoneOffsetFromUTC",
)  # fmt: skip


def report(language: str = "en") -> Report:
    """Return a report with a sentence of each confidence and one that has none."""
    findings, impression = _SENTENCES[language]
    return Report(
        (Sentence(findings[0], 0.95), Sentence(findings[1], 0.7)),
        (Sentence(impression[0]), Sentence(impression[1], 0.3)),
        language,
        MODEL,
        Generation("one_step", 24, 3, 0.2),
    )


def image(target: Path, language: str = "en", header: str = "whole") -> Path:
    """Write the chest radiograph RG1 with a patient of this language and a header of this sort.

    Each is a study of its own.
    """
    found = get_testdata_file("RG1_J2KR.dcm", download=False)
    assert isinstance(found, str), "pip install pydicom-data"
    data_set = dcmread(found)
    number = LANGUAGES.index(language) * len(HEADERS) + HEADERS.index(header)
    data_set.StudyInstanceUID = f"1.2.826.0.1.3680043.9.{number + 1}"
    data_set.SpecificCharacterSet, name = _NAMES[language]
    for keyword in _BARE if header != "whole" else ():
        if keyword in data_set:
            delattr(data_set, keyword)
    if header == "whole":
        data_set.PatientName = data_set.ReferringPhysicianName = name
        data_set.AccessionNumber = "A77"
        data_set.RequestAttributesSequence = [_request(name)]
    if header == "odd":
        data_set.PatientName = ""
        data_set.ReferringPhysicianName = "^^^"
        data_set.PatientID = "4 7|1^1~&"
        data_set.AccessionNumber = "|^~&/#'\"<A> é" if language == "en" else "|^~&/#'\"<A>"
        data_set.StudyDescription = name[:20]
        other = Dataset()
        other.PatientID = "2|^1"
        data_set.OtherPatientIDsSequence = [Dataset(), other]
    data_set.save_as(target)
    return target


def draft_of(path: Path, words: Report | None = None, **changes: Any) -> Draft:
    """Return a draft of one image."""
    selection = ChestImageSelector().select([instance_from_file(path)])
    study = selection.primary.instance.identity.study_instance_uid
    made: dict[str, Any] = {"revision": 1, "at": AT, **changes}
    return Draft(words or report(), selection, study, **made)


def _request(name: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "24648-8", "LN", "XR Chest PA"
    item = Dataset()
    item.RequestedProcedureID = "RP7"
    item.RequestedProcedureDescription = name.partition("=")[0][:30]
    item.RequestedProcedureCodeSequence = [code]
    item.PlacerOrderNumberImagingServiceRequest = "P&1"
    item.FillerOrderNumberImagingServiceRequest = "F1"
    return item
