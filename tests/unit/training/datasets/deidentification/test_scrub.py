from datetime import date

import pytest

from echo_node.dicom.deidentify import PatientIdentity
from training.datasets.deidentification.pseudonyms import Pseudonyms
from training.datasets.deidentification.scrub import scrub

IDENTITY = PatientIdentity(
    patient_id="\0MRN123",
    study_instance_uid="1.2.3",
    accession_number="A77",
    names=frozenset({"Garcia", "María", "Li", "O'Brien", "X", "王小明"}),
    identifiers=frozenset({"MRN123", "A77", "1.2.840.1.5"}),
    places=frozenset({"St. Mary's Hospital"}),
    burned_in=False,
    study_date=date(2024, 1, 2),
    technical={},
)
NOBODY = PatientIdentity(
    "", "", "", frozenset(), frozenset(), frozenset(), burned_in=False, study_date=None, technical={}
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ms. Garcia has an effusion.", "Ms. [NAME] has an effusion."),
        ("GARCIA, maría.", "[NAME], [NAME]."),
        ("Seen by Li and LI; the line is well.", "Seen by [NAME] and [NAME]; the line is well."),
        ("O'Brien agrees.", "[NAME] agrees."),
        ("患者王小明右肺感染。", "患者[NAME]右肺感染。"),
        ("MRN123 and a77 of St. Mary's Hospital.", "[ID] and [ID] of [PLACE]."),
        ("X-ray of the chest.", "X-ray of the chest."),
    ],
)
def test_what_the_header_knows_is_taken_out(text: str, expected: str) -> None:
    assert scrub(text, IDENTITY) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Compared with 2024-01-02.", "Compared with [DATE]."),
        ("Compared with 1/2/24 and 02.01.2024.", "Compared with [DATE] and [DATE]."),
        ("On January 5, 2024 and 5 Jan 2023.", "On [DATE] and [DATE]."),
        ("Film of March 2021.", "Film of [DATE]."),
        ("Prior of 3/14.", "Prior of [DATE]."),
        ("Surgery in 2019.", "Surgery in [DATE]."),
        ("与2024年1月2日片对比。", "与[DATE]片对比。"),
        ("Called at 10:15 am.", "Called at [TIME]"),
        ("Call 555-123-4567 or x12345.", "Call [PHONE] or [PHONE]."),
        ("Write to a.b@c.org.", "Write to [EMAIL]"),
        ("MRN: 12345 is known.", "MRN[ID] is known."),
        ("Number 12345678.", "Number [ID]."),
        ("UID 1.2.840.10008.1.2.", "UID [ID]."),
        ("Discussed with Dr. J. Smith Jones by phone.", "Discussed with [NAME] by phone."),
        ("Dictated by Anna Berg.", "Dictated by [NAME]."),
        ("John Q. Public, MD", "[NAME]"),
        ("A 93-year-old woman.", "A [AGE]-year-old woman."),
        ("报告医师：李华。", "报告医师[NAME]。"),
    ],
)
def test_what_looks_like_a_name_a_date_or_a_number_is_taken_out(text: str, expected: str) -> None:
    assert scrub(text, NOBODY) == expected


@pytest.mark.parametrize(
    "text",
    [
        "A 12 mm nodule in the right upper lobe.",
        "There is a 2.5 x 3.0 cm mass.",
        "The tube ends 4.5 cm above the carina.",
        "Fractures of ribs 5-7 and of T12.",
        "The heart may be enlarged.",
        "An 89-year-old man.",
        "Right Lower Lobe opacity; the patient's Port-A-Cath is in place.",
        "心影不大。",
    ],
)
def test_medicine_stays_as_it_is(text: str) -> None:
    assert scrub(text, NOBODY) == text


def test_shifts_are_whole_days_into_the_past_and_differ_between_patients() -> None:
    names = Pseudonyms(b"k" * 16)
    shifts = {names.shift(f"patient {number}").days for number in range(50)}
    assert len(shifts) > 40
    assert all(-3650 <= days <= -1 for days in shifts)
    assert names.shift("a") == names.shift("a")
