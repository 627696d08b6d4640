"""Phantoms with the headers of real systems, through the selector and the shipped view check."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import UID

from echo_node.dicom.instance_file import instance_from_file
from echo_node.domain.drafts.draft import remarks_on
from echo_node.domain.drafts.fixed_texts import ENGLISH
from echo_node.domain.studies.study import Selection, StoredInstance
from echo_node.errors import NotEligible
from echo_node.settings import Peer, SelectionSettings
from echo_node.wiring.images import chest_images
from training.phantom.dicom_study import write_study

Make = Callable[..., StoredInstance]

PEERS = [
    Peer(ae_title="CHEST_ROOM", body_part="CHEST"),
    Peer(ae_title="OTHER_ROOM"),
]


def select(*instances: StoredInstance) -> Selection:
    return chest_images(SelectionSettings(), PEERS).selector.select(instances)


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Write a phantom image with changed attributes; one given as None is left out."""
    for path in write_study(tmp_path, seed=1, views=["PA", "LATERAL"], size=256):
        path.rename(tmp_path / ("lateral" if "LATERAL" in path.name else "PA"))
    count = 0

    def make_one(shown: str, sender: str = "CHEST_ROOM", **attributes: object) -> StoredInstance:
        nonlocal count
        count += 1
        image = dcmread(tmp_path / shown)
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = UID(f"1.2.3.{count}")
        for keyword, value in attributes.items():
            if value is not None:
                setattr(image, keyword, value)
            elif keyword in image:
                delattr(image, keyword)
        image.save_as(tmp_path / f"{count}.dcm")
        return replace(instance_from_file(tmp_path / f"{count}.dcm"), calling_ae_title=sender)

    return make_one


BARE = dict.fromkeys(
    ("BodyPartExamined", "ViewPosition", "ViewCodeSequence", "AnatomicRegionSequence", "PatientOrientation",
     "SeriesDescription", "ProtocolName", "StudyDescription", "AcquisitionDeviceProcessingDescription",
     "PerformedProcedureStepDescription", "RequestedProcedureDescription", "RequestAttributesSequence",
     "ProcedureCodeSequence"),
)  # fmt: skip
PA_EVERYWHERE = {
    "ViewPosition": "PA", "SeriesDescription": "Chest PA", "ProtocolName": "Chest PA",
    "PatientOrientation": ["L", "F"],
}  # fmt: skip


def test_a_bare_header_of_a_chest_room_is_read_if_the_image_is_a_frontal_chest(make: Make) -> None:
    (image,) = select(make("PA", **BARE)).images
    assert (image.is_body_part_stated, image.is_view_stated) == (False, False)
    assert {ENGLISH.recognised_body_part, ENGLISH.recognised_view} <= {*remarks_on([image])}
    with pytest.raises(NotEligible, match="and the view check takes the image for a lateral one"):
        select(make("lateral", **BARE))
    with pytest.raises(NotEligible, match="does not say which body part"):
        select(make("PA", "OTHER_ROOM", **BARE))


def test_a_lateral_that_calls_itself_pa_is_not_read_and_the_older_pa_is(make: Make) -> None:
    false = make("lateral", **PA_EVERYWHERE, ViewCodeSequence=None, AcquisitionTime="235959")
    with pytest.raises(NotEligible, match="the view check takes the image for a lateral one"):
        select(false)
    true = make("PA", **PA_EVERYWHERE)
    selection = select(false, true)
    assert [image.instance for image in selection.images] == [true]
    assert [each.kind.view for each in selection.unread] == ["PA"]


def test_the_standard_image_is_read_and_not_its_newer_bone_image(make: Make) -> None:
    derived = {"ImageType": ["DERIVED", "PRIMARY"], "AcquisitionTime": "100000"}
    standard = make("PA", **PA_EVERYWHERE, **derived)
    bone = make(
        "PA",
        **{**PA_EVERYWHERE, "SeriesDescription": "Chest PA bone subtraction"},
        ImageType=["DERIVED", "PRIMARY", "", "DUAL_ENERGY_BONE"],
        AcquisitionTime="100002",
    )
    selection = select(bone, standard)
    assert [image.instance for image in selection.images] == [standard]
    assert [each.reason for each in selection.unread] == ["a bone image, not the standard one (ImageType)"]


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"SeriesDescription": "Chest left lateral decubitus"}, "its description decubitus"),
        ({"SeriesDescription": "Chest RAO oblique"}, "its description oblique"),
        ({"SeriesDescription": "Ribs unilateral right", "ProtocolName": "Ribs AP obl"}, "another one"),
        ({"PresentationIntentType": "FOR PROCESSING"}, "raw detector data"),
    ],
)
def test_a_header_that_names_a_frontal_view_and_something_else_is_refused(
    make: Make, attributes: dict[str, object], reason: str
) -> None:
    with pytest.raises(NotEligible, match=reason):
        select(make("PA", **{**PA_EVERYWHERE, **attributes}))
