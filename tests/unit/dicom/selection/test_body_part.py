from __future__ import annotations

from collections.abc import Callable

import pytest
from highdicom.sr import CodedConcept
from pydicom.dataset import Dataset

from echo_node.dicom.selection.body_part import why_not_chest

MakeChest = Callable[..., Dataset]


@pytest.mark.parametrize("part", ["CHEST", "Chest ", "THORAX", "CHEST PA", "CHEST_AP", "LUNG", "TORAX"])
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
