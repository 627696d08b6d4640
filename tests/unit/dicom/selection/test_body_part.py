from __future__ import annotations

from collections.abc import Callable

import pytest
from highdicom.sr import CodedConcept
from pydicom.dataset import Dataset

from echo_node.dicom.selection.body_part import why_not_chest

MakeChest = Callable[..., Dataset]


@pytest.mark.parametrize(
    "part",
    [
        "CHEST",
        "Chest ",
        "THORAX",
        "CHEST PA",
        "CHEST_AP",
        "LUNG",
        "TORAX",
        "NON GRID CHEST",
        "PORTABLE CHEST",
        "Lungs and pleura",
        "胸部",
        "Грудная клетка",
    ],
)
def test_chest_by_body_part(make_chest: MakeChest, part: str) -> None:
    assert why_not_chest(make_chest(BodyPartExamined=part, StudyDescription="hand")) is None


@pytest.mark.parametrize("part", ["EXTREMITY", "KNEE", "ABDOMEN", "CHESTABDOMEN", "TSPINE", "RIBS", "X^Y"])
def test_another_body_part_wins_over_texts(make_chest: MakeChest, part: str) -> None:
    reason = why_not_chest(make_chest(BodyPartExamined=part, StudyDescription="chest pa"))
    assert reason is not None
    assert reason.startswith("wrong body part")


@pytest.mark.parametrize(
    ("codes", "is_chest"),
    [
        ([("816094009", "SCT")], True),
        ([("T-D3000", "SRT")], True),
        ([("51185008", "SCT")], True),
        ([("30021000", "SCT")], False),
        ([("816094009", "SCT"), ("30021000", "SCT")], False),
    ],
)
def test_anatomic_region_when_the_body_part_says_nothing(
    make_chest: MakeChest, codes: list[tuple[str, str]], is_chest: bool
) -> None:
    image = make_chest(BodyPartExamined="", SeriesDescription="hand")
    image.AnatomicRegionSequence = [CodedConcept(value, scheme, "x") for value, scheme in codes]
    assert (why_not_chest(image) is None) is is_chest


@pytest.mark.parametrize(
    ("attributes", "is_chest"),
    [
        ({"ProtocolName": "Chest PA"}, True),
        ({"SeriesDescription": "W Thorax p.a."}, True),
        ({"SeriesDescription": "Rö-Thorax"}, True),
        ({"StudyDescription": "XR CHEST 2 VIEWS"}, True),
        ({"StudyDescription": "胸部単純"}, True),
        ({"ProtocolName": "Hand PA", "StudyDescription": "CXR"}, False),
        ({"ProtocolName": "Thoracic spine AP"}, False),
        ({"StudyDescription": "Chest and abdomen"}, False),
        ({"StudyDescription": "Foot"}, False),
        ({"StudyDescription": "Portable"}, False),
        ({}, False),
    ],
)
def test_texts_come_last(make_chest: MakeChest, attributes: dict[str, str], is_chest: bool) -> None:
    assert (why_not_chest(make_chest(BodyPartExamined=None, **attributes)) is None) is is_chest


@pytest.mark.parametrize("keyword", ["SeriesDescription", "ProtocolName"])
@pytest.mark.parametrize(
    ("text", "is_chest"),
    [("Thoracic spine", False), ("Abdomen AP", False), ("Schulter", False), ("腰椎 正面", False),
     ("Chest and abdomen", True), ("portable, head of bed up", True), ("PA", True), ("背腹 胸部", True)],
)  # fmt: skip
def test_a_chest_whose_description_names_another_part_only_is_refused(
    make_chest: MakeChest, keyword: str, text: str, is_chest: bool
) -> None:
    reason = why_not_chest(make_chest(**{keyword: text}))
    assert reason == (
        None if is_chest else
        f"wrong body part: the header says chest, but its description names another one ({keyword})"
    )  # fmt: skip
