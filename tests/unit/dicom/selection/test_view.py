from __future__ import annotations

from collections.abc import Callable

import pytest
from highdicom.sr import CodedConcept
from pydicom.dataset import Dataset

from echo_node.dicom.selection.view import frontal_view
from echo_node.errors import NotEligible

MakeChest = Callable[..., Dataset]


@pytest.mark.parametrize(
    ("position", "view"),
    [("PA", "PA"), ("AP", "AP"), ("AP SUPINE", "AP"), ("PA_ERECT", "PA"), ("Postero-Anterior", "PA")],
)
def test_by_view_position(make_chest: MakeChest, position: str, view: str) -> None:
    assert frontal_view(make_chest(ViewPosition=position)) == view


@pytest.mark.parametrize(
    ("code", "view"),
    [
        (("272479007", "SCT"), "PA"),
        (("R-10214", "SRT"), "PA"),
        (("399348003", "SCT"), "AP"),
        (("399033003", "SCT"), "frontal"),
    ],
)
def test_by_view_code(make_chest: MakeChest, code: tuple[str, str], view: str) -> None:
    image = make_chest(ViewPosition="")
    image.ViewCodeSequence = [CodedConcept(*code, "x")]
    assert frontal_view(image) == view


@pytest.mark.parametrize(
    ("text", "view"),
    [
        ("Chest PA", "PA"),
        ("W Thorax p.a.", "PA"),
        ("chest a.p. bed", "AP"),
        ("CHEST AP/PA", "frontal"),
        ("frontal PA", "PA"),
        ("chest frontal", "frontal"),
        ("Chest", "frontal"),
    ],
)
def test_by_text_then_by_orientation(make_chest: MakeChest, text: str, view: str) -> None:
    assert frontal_view(make_chest(ViewPosition=None, SeriesDescription=text)) == view


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"ViewPosition": "LL", "PatientOrientation": ["A", "F"]}, "a lateral view"),
        ({"ViewPosition": "RAO"}, "an oblique view"),
        ({"ViewPosition": "LLD"}, "a decubitus view"),
        ({"ViewPosition": "XTABLE"}, "view position is not a frontal one"),
        (
            {"ViewPosition": None, "SeriesDescription": "Chest lat", "PatientOrientation": None},
            "a lateral view",
        ),
        ({"ViewPosition": None, "PatientOrientation": ["P", "F"]}, "a lateral view"),
        ({"ViewPosition": "PA", "PatientOrientation": ["A", "F"]}, "its orientation is not"),
        ({"ViewPosition": "PA", "SeriesDescription": "Chest lateral"}, "its description lateral"),
    ],
)
def test_never_assumed(make_chest: MakeChest, attributes: dict[str, object], reason: str) -> None:
    with pytest.raises(NotEligible, match=reason):
        frontal_view(make_chest(**attributes))


@pytest.mark.parametrize(
    "attributes",
    [
        {"PatientOrientation": None},
        {"PatientOrientation": ["L", "R"]},
        {"PatientOrientation": None, "SeriesDescription": "Chest"},
        {"PatientOrientation": None, "SeriesDescription": "Chest PA + LAT"},
    ],
)
def test_where_the_header_tells_no_view_none_is_made_up(
    make_chest: MakeChest, attributes: dict[str, object]
) -> None:
    assert frontal_view(make_chest(ViewPosition=None, **attributes)) is None


def test_a_protocol_that_names_both_views_is_no_contradiction(make_chest: MakeChest) -> None:
    assert frontal_view(make_chest(ViewPosition="PA", ProtocolName="Chest PA + LAT")) == "PA"


def test_an_unknown_view_code_is_refused(make_chest: MakeChest) -> None:
    image = make_chest(ViewPosition=None)
    image.ViewCodeSequence = [CodedConcept("399173006", "SCT", "left lateral")]
    with pytest.raises(NotEligible, match="a lateral view"):
        frontal_view(image)
    image.ViewCodeSequence = [CodedConcept("1", "99LOCAL", "apical")]
    with pytest.raises(NotEligible, match="codes another view"):
        frontal_view(image)
