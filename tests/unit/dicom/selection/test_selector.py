from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from echo_node.dicom.image.pixels import DisplayedPixels
from echo_node.dicom.instance_file import instance_from_file
from echo_node.dicom.selection.selector import EVERY_CHEST, ChestImageSelector
from echo_node.domain.studies.study import StoredInstance
from echo_node.errors import MustBeHeld, NotEligible
from echo_node.settings import SelectionSettings

Store = Callable[..., StoredInstance]
Sample = Callable[[str], Path]

SELECT = ChestImageSelector().select
MULTI_FRAME_SC = "1.2.840.10008.5.1.4.1.1.7.2"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
FOR_PROCESSING = "1.2.840.10008.5.1.4.1.1.1.1.1"


@pytest.mark.parametrize("name", ["RG1_UNCR", "RG1_J2KR", "RG1_UNCI", "RG1_J2KI"])
def test_the_real_chest_is_selected(sample: Sample, name: str) -> None:
    selection = SELECT([instance_from_file(sample(name))])
    assert [image.view for image in selection.images] == ["PA"]
    assert selection.unread == ()


@pytest.mark.parametrize("name", ["RG3_UNCR", "RG3_J2KR", "RG3_UNCI", "RG3_J2KI"])
def test_the_real_leg_is_not_eligible(sample: Sample, name: str) -> None:
    with pytest.raises(NotEligible, match="wrong body part: the header says EXTREMITY, not chest"):
        SELECT([instance_from_file(sample(name))])


def test_one_of_two_equal_images_is_read_and_the_other_named(sample: Sample) -> None:
    both = [instance_from_file(sample(name)) for name in ("RG1_J2KR", "RG1_UNCR")]
    selection = SELECT(both)
    assert selection == SELECT(both[::-1])
    assert [image.instance for image in selection.images] == [both[1]]
    assert [image.identity for image in selection.unread] == [both[0].identity]


def test_ct_and_others_are_no_radiographs(sample: Sample) -> None:
    with pytest.raises(NotEligible, match="not a radiograph but CT Image Storage"):
        SELECT([instance_from_file(sample("CT_small"))])


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"SOPClassUID": FOR_PROCESSING}, "raw detector data"),
        ({"SOPClassUID": SECONDARY_CAPTURE}, "secondary capture"),
        ({"SOPClassUID": MULTI_FRAME_SC}, "secondary capture"),
        ({"PresentationIntentType": "FOR PROCESSING"}, "raw detector data"),
        ({"ImageType": ["DERIVED", "PRIMARY", "", "BONE"], "AcquisitionTime": "235959"}, "a bone image"),
        ({"SeriesDescription": "expiration", "AcquisitionTime": "235959"}, "an expiration image"),
        ({"SeriesDescription": "Chest RAO"}, "its description oblique"),
        ({"SeriesDescription": "Thoracic spine"}, "its description names another one"),
        ({"NumberOfFrames": 3}, "multi-frame"),
        ({"SamplesPerPixel": 3}, "colour image"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "colour image"),
        ({"BodyPartExamined": "KNEE"}, "the header says KNEE, not chest"),
        ({"ViewPosition": "LL", "PatientOrientation": ["A", "F"]}, "a lateral view"),
        ({"ViewPosition": None, "PatientOrientation": None}, "does not state whether it is a frontal view"),
        ({"PatientOrientation": ["A", "F"]}, "contradicts itself"),
        ({"Laterality": "L"}, "names one side"),
        ({"FieldOfViewHorizontalFlip": "YES", "PatientOrientation": None}, "rotated or flipped"),
        ({"FieldOfViewRotation": "180", "PatientOrientation": None}, "rotated or flipped"),
        ({"PatientAge": "017Y"}, "younger than 18 years"),
        ({"PatientAge": "011M"}, "younger than 18 years"),
        ({"BurnedInAnnotation": "YES"}, "text in the image"),
        ({"Laterality": "L", "ImageLaterality": "R"}, "contradicts itself about the laterality"),
    ],
)
def test_what_is_left_unread_and_why(stored: Store, attributes: dict[str, object], reason: str) -> None:
    readable, other = stored(), stored(**attributes)
    selection = SELECT([other, readable])
    assert [image.instance for image in selection.images] == [readable]
    assert [image.identity for image in selection.unread] == [other.identity]
    assert reason in selection.unread[0].reason
    with pytest.raises(NotEligible, match=reason):
        SELECT([other])


@pytest.mark.parametrize(
    "attributes",
    [
        {"PatientAge": "018Y"},
        {"PatientBirthDate": "", "PatientAge": ""},
        {"BurnedInAnnotation": "NO"},
        {"FieldOfViewHorizontalFlip": "YES", "PatientOrientation": ["R", "F"]},
        {"FieldOfViewRotation": "0", "FieldOfViewHorizontalFlip": "NO", "PatientOrientation": None},
    ],
)
def test_what_does_not_stand_in_the_way(stored: Store, attributes: dict[str, object]) -> None:
    assert SELECT([stored(**attributes)]).images


def test_a_child_and_text_in_the_image_can_be_let_in(stored: Store) -> None:
    child, written_on = stored(PatientAge="003D"), stored(BurnedInAnnotation="YES")
    assert ChestImageSelector(SelectionSettings(minimum_age_years=0)).select([child]).images
    assert ChestImageSelector(SelectionSettings(burned_in_annotation="read")).select([written_on]).images
    assert ChestImageSelector(EVERY_CHEST).select([child, written_on]).images


def test_a_file_that_came_back_is_read_by_the_next_job(stored: Store, tmp_path: Path) -> None:
    image, select = stored(), ChestImageSelector().select
    away = image.path.rename(tmp_path / "away")
    with pytest.raises(NotEligible, match="the file cannot be read"):
        select((image,))
    away.rename(image.path)
    assert select((image,)).images


def test_numbers_in_place_of_the_requests_do_not_prevent_reading(stored: Store) -> None:
    image = stored()
    header = dcmread(image.path)
    header.add(DataElement(0x00400275, "US", 7))
    header.save_as(image.path)
    assert len(SELECT([instance_from_file(image.path)]).primary.attributes.requests) == 1


@pytest.mark.parametrize("side", ["U", "B", ""])
def test_an_unpaired_or_two_sided_laterality_is_fine(stored: Store, side: str) -> None:
    assert SELECT([stored(Laterality=side)]).images


@pytest.mark.parametrize(
    ("chosen", "other", "reason"),
    [
        ({"ViewPosition": "PA", "AcquisitionTime": "080000"}, {"ViewPosition": "AP"}, "the PA view"),
        ({"AcquisitionTime": "080000"}, {"ImageType": ["DERIVED", "PRIMARY"]}, "an original image"),
        ({"AcquisitionTime": "101501"}, {"AcquisitionTime": "101500"}, "a newer image"),
        ({"AcquisitionDate": "20260103"}, {"AcquisitionTime": "235959"}, "a newer image"),
        ({}, {"LossyImageCompression": "01"}, "an image without lossy compression"),
    ],
)
def test_which_of_two_is_read(
    stored: Store, chosen: dict[str, object], other: dict[str, object], reason: str
) -> None:
    best, second = stored(**chosen), stored(**other)
    for order in ([best, second], [second, best]):
        selection = SELECT(order)
        assert [image.instance for image in selection.images] == [best]
        assert [image.reason for image in selection.unread] == [f"{reason} of the study was read"]


@pytest.mark.parametrize(
    ("attributes", "is_readable"),
    [
        ({"SeriesDescription": "Chest expiration"}, True),
        ({"SeriesDescription": "Chest tube enhanced"}, True),
        ({"SeriesDescription": "Chest soft tissue"}, True),
        ({"SeriesDescription": "Chest bone suppressed"}, True),
        ({"SeriesDescription": "Chest bone"}, False),
        ({"SeriesDescription": "Chest subtraction"}, False),
        ({"SeriesDescription": "Chest raw"}, False),
        ({"SeriesDescription": "Chest scout"}, False),
    ],
)
def test_some_companions_are_read_in_the_absence_of_a_standard_image_if_that_is_allowed(
    stored: Store, attributes: dict[str, object], is_readable: bool
) -> None:
    select = ChestImageSelector(SelectionSettings(companions="read")).select
    companion, standard = stored(**attributes, AcquisitionTime="235959"), stored()
    with pytest.raises(NotEligible):
        SELECT([companion])
    if is_readable:
        (image,) = select([companion]).images
        assert image.kind.companion
    else:
        with pytest.raises(NotEligible):
            select([companion])
    selection = select([companion, standard])
    assert [image.instance for image in selection.images] == [standard]
    assert ("a standard image" in selection.unread[0].reason) is is_readable


@pytest.mark.parametrize(
    ("name", "is_read"),
    [("YBR_FULL", True), ("YBR_FULL_422", True), ("RGB", True), ("GRAYSCALE", True), ("MONOCHROME 1", True),
     ("PALETTE COLOR", False), ("HSV", False)],
)  # fmt: skip
def test_one_sample_under_the_name_of_a_colour_space_is_grey(stored: Store, name: str, is_read: bool) -> None:
    image = stored(PhotometricInterpretation=name)
    if not is_read:
        with pytest.raises(NotEligible, match="a colour image"):
            SELECT([image])
        return
    grey = DisplayedPixels().read(SELECT([image]).primary)
    same = "MONOCHROME1" if "1" in name else "MONOCHROME2"
    assert grey == DisplayedPixels().read(SELECT([stored(PhotometricInterpretation=same)]).primary)


def test_derived_alone_never_disqualifies(stored: Store) -> None:
    assert SELECT([stored(ImageType=["DERIVED", "PRIMARY"])]).images


@pytest.mark.parametrize(
    ("attributes", "named"),
    [
        ({"PatientID": "4712"}, "the patient ID"),
        ({"PatientName": "Roe^Jane"}, "the patient's name"),
        ({"PatientBirthDate": "19600103"}, "birth date"),
        ({"PatientSex": "M"}, "sex"),
    ],
)
def test_a_patient_that_changes_inside_a_study_is_refused(
    stored: Store, attributes: dict[str, object], named: str
) -> None:
    with pytest.raises(MustBeHeld, match="may mix two patients") as refusal:
        SELECT([stored(), stored(**attributes)])
    assert named in str(refusal.value)
    assert "Roe" not in str(refusal.value)
    assert "471" not in str(refusal.value)


@pytest.mark.parametrize("name", ["Doe^Jane", "DOE^JANE^^", "Doe Jane", "Doe^Jane=山田^花子", ""])
def test_writing_the_same_name_differently_is_no_change(stored: Store, name: str) -> None:
    assert SELECT([stored(), stored(PatientName=name)]).images


@pytest.mark.filterwarnings("ignore:End of file reached")
def test_a_file_that_cannot_be_parsed_is_unread_and_stops_nothing(stored: Store) -> None:
    readable, broken, gone = stored(), stored(), stored()
    broken.path.write_bytes(b"\0" * 128 + b"DICM" + b"\xff" * 40)
    gone.path.unlink()
    selection = SELECT([broken, gone, readable])
    assert [image.instance for image in selection.images] == [readable]
    reasons = {image.identity.sop_instance_uid: image.reason for image in selection.unread}
    assert set(reasons) == {broken.identity.sop_instance_uid, gone.identity.sop_instance_uid}
    assert all("file" in reason for reason in reasons.values())


def test_a_study_without_images_is_not_eligible() -> None:
    with pytest.raises(NotEligible, match="no images"):
        SELECT([])


def test_reasons_are_counted_for_the_operator(stored: Store) -> None:
    with pytest.raises(NotEligible) as refusal:
        SELECT([stored(BodyPartExamined="HAND"), stored(BodyPartExamined="HAND"), stored(ViewPosition="LL")])
    assert str(refusal.value) == (
        "no image can be read: wrong body part: the header says HAND, not chest (2 images); "
        "a lateral view, not a frontal one"
    )


def test_the_reason_of_one_image_stands_alone(stored: Store) -> None:
    with pytest.raises(NotEligible) as refusal:
        SELECT([stored(BodyPartExamined="HAND")])
    assert str(refusal.value) == "wrong body part: the header says HAND, not chest"


def test_free_text_never_gets_into_a_reason(make_chest: Callable[..., Dataset], stored: Store) -> None:
    with pytest.raises(NotEligible) as refusal:
        SELECT([stored(BodyPartExamined="JANE DOE", ViewPosition="JANE", SeriesDescription="Jane Doe")])
    assert "jane" not in str(refusal.value).casefold()
