"""Studies of an archive, to be found or not: chest radiographs of chosen patients and days."""

from io import BytesIO

from pydicom.dataset import Dataset
from support.radiographs import PLAIN, radiograph, ramp

from echo_node.dicom.attributes import study_attributes
from echo_node.domain.drafts.subject import Subject

OURS = "1.2.826.0.1.3680043.9.4"
"""The study that is being drafted."""

_NUMBERS = iter(range(1, 100_000))


def image(**attributes: object) -> Dataset:
    """Return a chest radiograph of 2026 in a new study; attributes given as None are left out."""
    number = next(_NUMBERS)
    uid = f"{OURS}.{number}"
    usual: dict[str, object] = {
        "StudyInstanceUID": uid,
        "SeriesInstanceUID": f"{uid}.1",
        "SOPInstanceUID": f"{uid}.1.1",
        "SpecificCharacterSet": "ISO_IR 192",
        "PatientName": "Doe^Jane",
        "PatientID": "4711",
        "IssuerOfPatientID": "HOSPITAL",
        "PatientBirthDate": "19600229",
        "PatientSex": "F",
        "StudyDate": "20260304",
        "StudyTime": "101500",
        "StudyID": "1",
        "AccessionNumber": "",
        "SeriesNumber": 1,
        "InstanceNumber": 1,
    }
    return radiograph(ramp(*PLAIN), PLAIN, is_signed=False, **{**usual, **attributes})


def file(data_set: Dataset) -> bytes:
    """Return it as a DICOM file."""
    stream = BytesIO()
    data_set.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def subject(**attributes: object) -> Subject:
    """Return the subject in the header of the image whose draft is made."""
    header = image(StudyInstanceUID=OURS, StudyDate="20260601", StudyTime="120000", **attributes)
    return Subject.of(study_attributes(header))
