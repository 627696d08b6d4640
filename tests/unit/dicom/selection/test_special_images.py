"""Images that call themselves frontal by ViewPosition, and something else in another place."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from highdicom.sr import CodedConcept
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from echo_node.dicom.selection.body_part import why_not_chest
from echo_node.dicom.selection.companion import companion
from echo_node.dicom.selection.view import frontal_view, stated_view
from echo_node.errors import NotEligible

MakeChest = Callable[..., Dataset]

PLAIN = {"PatientOrientation": None}


def item(value: str, scheme: str, meaning: str = "x", **nested: list[Dataset]) -> Dataset:
    concept: Dataset = CodedConcept(value, scheme, meaning)
    for keyword, items in nested.items():
        setattr(concept, keyword, Sequence(items))
    return concept


@pytest.mark.parametrize(
    ("text", "view"),
    [
        ("CHEST LEFT LATERAL DECUBITUS", "decubitus"),
        ("Chest R decub", "decubitus"),
        ("thorax Linksseitenlage", "decubitus"),
        ("Thorax décubitus latéral droit", "decubitus"),
        ("TÓRAX DECÚBITO LATERAL", "decubitus"),
        ("RX no decúbito lateral", "decubitus"),
        ("torace decubito laterale destro", "decubitus"),
        ("Thorax zijligging", "decubitus"),
        ("Lungor sidoläge", "decubitus"),
        ("Klatka piersiowa na boku", "decubitus"),
        ("Akciğer lateral dekübit", "decubitus"),
        ("ОГК латеропозиция", "decubitus"),
        ("胸部左侧卧位", "decubitus"),
        ("胸部 側臥位", "decubitus"),
        ("흉부 측와위", "decubitus"),
        ("CHEST RAO OBLIQUE", "oblique"),
        ("Thorax schräg", "oblique"),
        ("Thorax face oblique", "oblique"),
        ("tórax oblicua", "oblique"),
        ("torace obliqua", "oblique"),
        ("tórax oblíqua", "oblique"),
        ("Thorax skrå", "oblique"),
        ("Lungor snett", "oblique"),
        ("klatka piersiowa skośne", "oblique"),
        ("грудная клетка косая", "oblique"),
        ("胸部斜位", "oblique"),
        ("흉부 사위", "oblique"),
        ("Chest L->R", "lateral"),
        ("Klatka piersiowa bok", "lateral"),
        ("Thorax Schrägaufnahme", "oblique"),
        ("tórax OAD", "oblique"),
        ("Tórax decúbito izquierdo", "decubitus"),
        ("Thorax dekubitus links", "decubitus"),
        ("CHEST APICAL LORDOTIC", "lordotic"),
        ("Chest axial", "lordotic"),
        ("Thorax Lungenspitzen", "lordotic"),
        ("thorax lordotique", "lordotic"),
        ("tórax apical", "lordotic"),
        ("胸部前弓位", "lordotic"),
        ("肺尖撮影", "lordotic"),
        ("верхушки легких", "lordotic"),
        ("RIBS UNILATERAL RIGHT", "rib"),
        ("Rippenthorax / Rippen links", "rib"),
        ("Gril costal droit", "rib"),
        ("parrilla costal", "rib"),
        ("肋骨 正位", "rib"),
        ("CHEST LATERAL", "lateral"),
        ("chestLAT_auto", "lateral"),
        ("Thorax seitlich", "lateral"),
        ("胸部侧位", "lateral"),
        ("胸部側面", "lateral"),
        ("грудная клетка боковая", "lateral"),
        ("Akciğer yan", "lateral"),
    ],
)
@pytest.mark.parametrize("keyword", ["SeriesDescription", "ProtocolName"])
def test_a_text_that_names_another_view_contradicts(
    make_chest: MakeChest, keyword: str, text: str, view: str
) -> None:
    for position in ("PA", "AP"):
        image = make_chest(ViewPosition=position, **PLAIN, **{keyword: text})
        stated = stated_view(image)
        assert (stated.view, stated.refusal) == (
            view,
            f"the header contradicts itself: its view is frontal, its description {view} ({keyword})",
        )
    with pytest.raises(NotEligible, match=f"an? {view} view, not a frontal one"):
        frontal_view(make_chest(ViewPosition=None, **PLAIN, **{keyword: text}))


@pytest.mark.parametrize(
    "attributes",
    [
        {"AcquisitionDeviceProcessingDescription": "CHEST OBL"},
        {"AcquisitionProtocolName": "chest decub"},
        {"AcquisitionProtocolDescription": "lordotic chest"},
        {"DerivationDescription": "oblique"},
        {"ImageComments": "left lateral decubitus"},
        {"ImageComments": "Patient in right decubitus position"},
        {"AcquisitionComments": "LLD"},
        {"PostprocessingFunction": "NA_chestLAT_auto"},
        {"ImageType": ["ORIGINAL", "PRIMARY", "OBLIQUE"]},
        {"PatientPosition": "HFDL"},
        {"PatientPosition": "LEFT DECUBITUS"},
        {"PatientOrientation": ["LA", "F"]},
        {"ViewCodeSequence": [item("399135007", "SCT")]},
        {"ViewCodeSequence": [item("1", "99X", "Left anterior oblique")]},
        {"ViewCodeSequence": [
            item("399348003", "SCT", "AP", ViewModifierCodeSequence=[item("111069", "DCM")])]},
        {"ViewCodeSequence": [
            item("R-10206", "SNM3", "AP", ViewModifierCodeSequence=[item("R-40799", "SNM3")])]},
        {"ViewModifierCodeSequence": [item("260450008", "SCT", "lordotic")]},
        {"PatientOrientationCodeSequence": [
            item("102538003", "SCT", "recumbent",
                 PatientOrientationModifierCodeSequence=[item("102536004", "SCT")])]},
        {"PrimaryAnatomicStructureSequence": [item("113197003", "SCT", "Rib")]},
        {"PerformedProtocolCodeSequence": [item("7", "99X", "Chest left decubitus")]},
        {"SeriesDescriptionCodeSequence": [item("8", "99X", "Chest oblique")]},
        {"StudyDescription": "XR CHEST LEFT LATERAL DECUBITUS"},
        {"PerformedProcedureStepDescription": "CHEST OBLIQUE"},
        {"RequestedProcedureDescription": "Chest apical lordotic"},
        {"ProcedureCodeSequence": [item("9", "99X", "Xray Chest Oblique Portable")]},
        {"RequestedProcedureCodeSequence": [item("9", "99X", "Ribs unilateral")]},
        {"ViewPosition": "AP DECUB"},
        {"ViewPosition": "PA OBL"},
        {"ViewPosition": "AP_LORDOTIC"},
    ],
)  # fmt: skip
def test_every_attribute_that_may_name_another_view_is_read(
    make_chest: MakeChest, attributes: dict[str, object]
) -> None:
    with pytest.raises(NotEligible):
        frontal_view(make_chest(**{"ViewPosition": "AP", "PatientOrientation": None, **attributes}))


@pytest.mark.parametrize(
    "attributes",
    [
        {"SeriesDescription": "CHEST (PA AND LAT)", "ProtocolName": "CHEST 2 VIEWS"},
        {"SeriesDescription": "Chest PA, lateral and both decubitus"},
        {"ProtocolName": "Thorax p.a. + seitlich"},
        {"ProtocolName": "Thorax face et profil"},
        {"SeriesDescription": "胸部正侧位"},
        {"SeriesDescription": "胸部 正面 側面"},
        {"StudyDescription": "CHEST PA+LAT"},
        {"StudyDescription": "XR CHEST 2 VIEWS WITH OBLIQUES"},
        {"StudyDescription": "Chest lateral"},
        {"StudyDescription": "Chest with apical lordotic"},
        {"RequestedProcedureDescription": "RIBS W/ PA CHEST"},
        {"SeriesDescription": "Chest AP supine"},
        {"SeriesDescription": "Thorax face en décubitus dorsal"},
        {"SeriesDescription": "Tórax AP decúbito supino"},
        {"SeriesDescription": "Chest AP, not oblique"},
        {"SeriesDescription": "Chest PA, lateral not obtained"},
        {"SeriesDescription": "CXR AP (no lat)"},
        {"SeriesDescription": "Chest AP - unable to do lateral"},
        {"SeriesDescription": "Chest AP lat declined"},
        {"SeriesDescription": "Thorax pa, apices clipped"},
        {"SeriesDescription": "Chest PA for Dr. Lao"},
        {"SeriesDescription": "Chest PA left lateral chest wall pain"},
        {"SeriesDescription": "Chest AP ?rib fracture"},
        {"SeriesDescription": "Chest PA apical pneumothorax"},
        {"SeriesDescription": "Chest PA with obliques"},
        {"SeriesDescription": "Chest AP, 3 views, oblique"},
        {"ProtocolName": "Thorax PA Lunge/Rippen"},
        {"SeriesDescription": "Torace AP decubito supino"},
        {"SeriesDescription": "Tórax AP en decúbito"},
        {"SeriesDescription": "Thorax AP en décubitus"},
        {"SeriesDescription": "CHEST P->A"},
        {"ViewPosition": None, "SeriesDescription": "胸部 A→P"},
        {"StudyDescription": "Chest PA, decubitus if required"},
        {"StudyDescription": "Chest ribs left"},
        {"ImageComments": "LLD of the legs known"},
        {"ImageComments": "rib pain on the right"},
        {"SeriesDescription": "PA chest non-grid, bilateral lungs"},
        {"ImageComments": "patient cannot be moved, therefore slightly oblique and rotated"},
        {"PatientPosition": "HFS"},
        {"PatientPosition": "SUPINE"},
        {"PatientOrientation": ["LH", "FL"]},
        {"ViewCodeSequence": [item("272479007", "SCT", "postero-anterior")]},
        {"ViewCodeSequence": [item("5", "99X", "Chest PA")]},
        {"ViewCodeSequence": [Dataset()]},
        {"PatientOrientationCodeSequence": [item("102538003", "SCT", "recumbent")]},
        {"ViewPosition": "AP ERECT"},
        {"ViewPosition": "CHEST PA"},
        {"ViewPosition": "CHEST", "PatientOrientation": ["L", "F"]},
        {"SeriesDescription": "Chest PA, oblique fissure thickened"},
        {"ViewPosition": "ERECT", "PatientOrientation": ["L", "F"]},
    ],
)  # fmt: skip
def test_a_procedure_or_a_position_is_no_contradiction(
    make_chest: MakeChest, attributes: dict[str, object]
) -> None:
    image = make_chest(**{"ViewPosition": "PA", "PatientOrientation": None, **attributes})
    assert frontal_view(image) in {"PA", "AP", "frontal"}


@pytest.mark.parametrize(
    ("attributes", "kind"),
    [
        ({"ImageType": ["DERIVED", "PRIMARY", "", "DUAL_ENERGY_BONE"]}, "bone"),
        ({"ImageType": ["DERIVED", "PRIMARY", "BONE"]}, "bone"),
        ({"SeriesDescription": "CHEST PA BONE SUBTRACTION"}, "bone"),
        ({"SeriesDescription": "Thorax Knochenbild"}, "bone"),
        ({"SeriesDescription": "thorax image osseuse"}, "bone"),
        ({"SeriesDescription": "胸部 骨画像"}, "bone"),
        ({"ImageType": ["DERIVED", "PRIMARY", "", "SOFT_TISSUE"]}, "soft tissue"),
        ({"SeriesDescription": "Chest PA soft-tissue"}, "soft tissue"),
        ({"SeriesDescription": "Thorax Weichteilbild"}, "soft tissue"),
        ({"SeriesDescription": "胸部 软组织像"}, "soft tissue"),
        ({"SeriesDescription": "Chest bone suppressed"}, "bone suppression"),
        ({"SeriesDescription": "Chest BoneSupp"}, "bone suppression"),
        ({"ImageComments": "bone image"}, "bone"),
        ({"SeriesDescription": "AP line companion"}, "enhancement"),
        ({"SeriesDescription": "Thorax Katheterbild"}, "enhancement"),
        ({"SeriesDescription": "Thorax in Ausatmung"}, "expiration"),
        ({"SeriesDescription": "胸部 骨抑制"}, "bone suppression"),
        ({"SeriesDescription": "Chest temporal subtraction"}, "subtraction"),
        ({"DerivationDescription": "subtracted"}, "subtraction"),
        ({"DerivationCodeSequence": [item("113062", "DCM")]}, "subtraction"),
        ({"SeriesDescription": "Chest PA dual energy"}, "dual energy"),
        ({"ImageType": ["DERIVED", "PRIMARY", "", "LOW_ENERGY"]}, "dual energy"),
        ({"SeriesDescription": "Chest AP tube enhanced"}, "enhancement"),
        ({"SeriesDescription": "Line enhancement"}, "enhancement"),
        ({"AcquisitionDeviceProcessingDescription": "CHEST EDGE ENHANCED"}, "enhancement"),
        ({"SeriesDescription": "Tube and line visualization"}, "enhancement"),
        ({"SeriesDescription": "胸部 チューブ強調"}, "enhancement"),
        ({"DerivationCodeSequence": [item("113086", "DCM")]}, "enhancement"),
        ({"SeriesDescription": "CHEST PA EXPIRATION"}, "expiration"),
        ({"SeriesDescription": "Chest PA exp"}, "expiration"),
        ({"ViewPosition": "PA EXP"}, "expiration"),
        ({"SeriesDescription": "Thorax in Exspiration"}, "expiration"),
        ({"SeriesDescription": "torace espirazione"}, "expiration"),
        ({"SeriesDescription": "胸部 呼気"}, "expiration"),
        ({"StudyDescription": "Chest expiration"}, "expiration"),
        ({"AcquisitionContextSequence": [
            item("1", "99X", ConceptCodeSequence=[item("58322009", "SCT")])]}, "expiration"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "RAW"]}, "raw"),
        ({"PresentationIntentType": "FOR PROCESSING"}, "raw"),
        ({"SeriesDescription": "CHEST PA RAW"}, "raw"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "localiser"),
        ({"SeriesDescription": "scout"}, "localiser"),
        ({"ImageType": ["DERIVED", "PRIMARY", "COMPOSED"]}, "stitched"),
        ({"SeriesDescription": "stitched"}, "stitched"),
    ],
)  # fmt: skip
def test_a_companion_is_known_by_every_attribute_that_may_name_it(
    make_chest: MakeChest, attributes: dict[str, object], kind: str
) -> None:
    found = companion(make_chest(**attributes))
    assert found is not None
    assert found.kind.name == kind
    assert found.reason == f"{found.kind.reason} ({next(iter(attributes))})"


@pytest.mark.parametrize(
    "attributes",
    [
        {"ImageType": ["DERIVED", "SECONDARY", "", "CSA RESAMPLED"]},
        {"ImageType": ["DERIVED", "PRIMARY", "POST_PROCESSED"]},
        {"PresentationIntentType": "FOR PRESENTATION"},
        {"ProtocolName": "Chest PA dual energy"},
        {"SeriesDescription": "Dual energy, standard image"},
        {"ImageType": ["DERIVED", "PRIMARY", "", "DUAL_ENERGY_STANDARD"]},
        {"AcquisitionDeviceProcessingDescription": "bone suppression: off"},
        {"AcquisitionDeviceProcessingDescription": "Edge enhancement=0"},
        {"AcquisitionDeviceProcessingDescription": "tissue equalization, edge enhancement 2.5"},
        {"SeriesDescription": "Chest without bone suppression"},
        {"SeriesDescription": "no tube enhancement"},
        {"ProtocolName": "Chest inspiration/expiration"},
        {"StudyDescription": "Chest inspiration and expiration"},
        {"SeriesDescription": "Chest AP line placement"},
        {"SeriesDescription": "Chest PA soft copy"},
        {"SeriesDescription": "Chest PA bone metastases"},
        {"ImageComments": "r/o soft tissue swelling"},
        {"AcquisitionDeviceProcessingDescription": "Chest bone/soft tissue balanced"},
        {"AcquisitionDeviceProcessingDescription": "bone filter off"},
        {"AcquisitionDeviceProcessingDescription": "Edge enhancement: medium"},
        {"ImageComments": "license expired"},
        {"SeriesDescription": "Thorax ZVK Katheterlage"},
        {"AcquisitionDeviceProcessingDescription": "EXP INDEX 1800"},
        {"StudyDescription": "Chest soft tissue"},
    ],
)
def test_what_is_no_companion(make_chest: MakeChest, attributes: dict[str, object]) -> None:
    assert companion(make_chest(**attributes)) is None


def test_a_megabyte_of_text_costs_little_and_names_nothing_at_its_end(make_chest: MakeChest) -> None:
    image = make_chest(ImageComments="a" * 1_000_000 + " bone", DerivationDescription="x " * 500_000)
    assert companion(image) is None
    assert frontal_view(image) == "PA"


_TEXTS = (
    "ViewPosition", "SeriesDescription", "ProtocolName", "AcquisitionDeviceProcessingDescription",
    "DerivationDescription", "ImageComments", "StudyDescription", "RequestedProcedureDescription",
    "PatientPosition", "BodyPartExamined",
)  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(st.sampled_from(_TEXTS), st.text(max_size=40), max_size=4),
    st.sampled_from(["", "oblique", "bone", "decubitus", "hand", "raw", "PA"]),
)
def test_no_text_raises_and_none_gets_into_a_reason(
    make_chest: MakeChest, texts: dict[str, str], word: str
) -> None:
    """The texts around a secret are arbitrary; the secret is a patient's name."""
    image = make_chest(**{keyword: f"{word} Zywiecki {text}" for keyword, text in texts.items()})
    found = companion(image)
    reasons = (stated_view(image).refusal, found.reason if found else "", why_not_chest(image) or "")
    assert "zywiecki" not in " ".join(reasons).casefold()
