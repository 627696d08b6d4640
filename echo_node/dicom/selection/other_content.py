"""Other content under a known SOP Instance UID: does it differ in what a draft is made from?

Patient and order are compared in patient_identity.py. Here it is the picture, and every other
attribute that the node reads. Attributes that it never reads, such as private ones, do not matter,
nor do those that systems on the way add or renumber, and on which no draft depends.
"""

from __future__ import annotations

import hashlib
import re
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items

from echo_node.dicom.contexts import contexts
from echo_node.dicom.header import HEADER_KEYWORDS, read_header, read_whole
from echo_node.dicom.header_values import PARSE_ERRORS, items, text
from echo_node.dicom.image.pixels import DisplayedPixels
from echo_node.domain.studies.study import GreyImage, SelectedImage, StoredInstance
from echo_node.errors import PermanentError

_NOT_COMPARED = {
    # compared as identity of patient and order
    "PatientName", "PatientID", "IssuerOfPatientID", "IssuerOfPatientIDQualifiersSequence",
    "PatientBirthDate", "PatientSex", "OtherPatientIDs", "OtherPatientIDsSequence", "OtherPatientNames",
    "PatientBirthName",
    "AccessionNumber", "IssuerOfAccessionNumberSequence", "RequestAttributesSequence",
    "PlacerOrderNumberImagingServiceRequest", "FillerOrderNumberImagingServiceRequest",
    "RequestedProcedureDescription", "RequestedProcedureCodeSequence", "ReferencedRequestSequence",
    "SOPInstanceUID", "StudyInstanceUID",
    # encoding of the others
    "SpecificCharacterSet", "TimezoneOffsetFromUTC",
    # administrative: the draft repeats some of them, and depends on none
    "StudyID", "SeriesNumber", "InstanceNumber", "InstitutionName", "ReferringPhysicianName",
    "PatientSize", "PatientWeight", "ReferencedStudySequence",
}  # fmt: skip
_OF_REQUESTS = (
    "RequestedProcedureID", "RequestedProcedureDescription", "RequestedProcedureCodeSequence",
)  # fmt: skip
_CHANGED_BY_COMPRESSION = (
    "LossyImageCompression", "PhotometricInterpretation", "BitsAllocated", "BitsStored", "HighBit",
    "PixelRepresentation",
)  # fmt: skip
_SHAPE = (
    "Shape", "LeftVerticalEdge", "RightVerticalEdge", "UpperHorizontalEdge", "LowerHorizontalEdge",
)  # fmt: skip
DISPLAY_KEYWORDS = (
    "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation",
    "PixelPaddingValue", "PixelPaddingRangeLimit",
    "ModalityLUTSequence", "RescaleIntercept", "RescaleSlope",
    "VOILUTSequence", "WindowCenter", "WindowWidth", "VOILUTFunction", "PresentationLUTShape",
    *(prefix + each for prefix in ("Collimator", "Shutter") for each in _SHAPE),
    *(f"{each}{prefix}" for prefix in ("Collimator", "Shutter")
      for each in ("CenterOfCircular", "RadiusOfCircular", "VerticesOfThePolygonal")),
    "PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing", "PixelAspectRatio",
)  # fmt: skip
"""Attributes that decide how an image is displayed (dicom/image/)."""

_BLOCK = 16
_MOST_LOSS = 8.0
"""Largest difference of the mean of a block that lossy compression causes, of 255 grey levels."""

_Comparable: TypeAlias = str | float | tuple["_Comparable", ...]


def differing_content(kept: StoredInstance, other: StoredInstance) -> tuple[str, ...]:
    """Return the keywords of the attributes that the node reads in both, and that differ.

    None differ if no draft is made from such an instance. The same image in another transfer
    syntax does not differ.

    Raises:
        PermanentError: one of the files cannot be read.
    """
    one, another = (read_header(each.path, (*HEADER_KEYWORDS, *DISPLAY_KEYWORDS)) for each in (kept, other))
    if not _is_drafted(one) and not _is_drafted(another):
        return ()
    syntaxes = {text(each.file_meta, "TransferSyntaxUID") for each in (one, another)}
    left_out = _NOT_COMPARED.union(_CHANGED_BY_COMPRESSION if len(syntaxes) > 1 else ())
    keywords = [each for each in (*HEADER_KEYWORDS, *DISPLAY_KEYWORDS) if each not in left_out]
    try:
        differing = [each for each in keywords if _value(one, each) != _value(another, each)]
    except PARSE_ERRORS as error:
        raise PermanentError("the header cannot be parsed") from error
    differing += [each for each in _OF_REQUESTS if _requested(one, each) != _requested(another, each)]
    if not _is_same_picture(kept, other, in_one_syntax=len(syntaxes) == 1):
        differing.append("PixelData")
    return tuple(dict.fromkeys(differing))


def _is_drafted(header: Dataset) -> bool:
    storage_class = contexts().storage_class(text(header, "SOPClassUID"))
    return storage_class is not None and storage_class.drafted


def _value(header: Dataset, keyword: str) -> _Comparable:
    """Return the value of an attribute without variations of its encoding; empty if absent."""
    return _comparable(header[keyword]) if keyword in header else ()


def _comparable(element: DataElement) -> _Comparable:
    if isinstance(element.value, Items):
        return tuple(tuple((f"{each.tag}", _comparable(each)) for each in item) for item in element.value)
    if element.is_empty:
        return ()
    if isinstance(element.value, bytes):
        return element.value.hex()
    values = element.value if element.VM > 1 else [element.value]
    return tuple(_plain(element.VR, str(each).strip(" \0")) for each in values)


def _plain(vr: str, value: str) -> str | float:
    if vr in {"DS", "IS", "FD", "FL"}:
        try:
            return float(value)
        except ValueError:
            return value
    if vr in {"DA", "TM", "DT"}:
        whole, _, fraction = re.sub(r"[:/-]", "", value).partition(".")
        return f"{whole}.{fraction}".rstrip("0.") if vr != "DA" else whole + fraction
    return value


def _requested(header: Dataset, keyword: str) -> frozenset[str]:
    """Return the values of an attribute of the requests; of a code, its value."""
    requests = [header, *items(header, "RequestAttributesSequence")]
    stated = {text(code, "CodeValue") for each in requests for code in items(each, keyword)}
    if not keyword.endswith("Sequence"):
        stated = {text(each, keyword) for each in requests}
    return frozenset(stated - {""})


def _is_same_picture(one: StoredInstance, other: StoredInstance, *, in_one_syntax: bool) -> bool:
    if _pixel_digest(one) == _pixel_digest(other):
        return True
    if in_one_syntax:
        return False
    try:
        shown = [DisplayedPixels().read(SelectedImage(each, "")) for each in (one, other)]
    except PermanentError:
        return False
    return _look_alike(*shown)


def _pixel_digest(instance: StoredInstance) -> str:
    data_set = read_whole(instance.path)
    return hashlib.sha256(data_set.get("PixelData") or b"").hexdigest()


def _look_alike(one: GreyImage, other: GreyImage) -> bool:
    """Return whether two images differ by no more than compression changes."""
    if (one.width, one.height) != (other.width, other.height):
        return False
    difference = np.abs(_block_means(one) - _block_means(other))
    return float(difference.max(initial=0.0)) <= _MOST_LOSS


def _block_means(image: GreyImage) -> NDArray[np.float64]:
    """Return the mean of each block of pixels; the last ones are smaller."""
    pixels = np.frombuffer(image.pixels, np.uint8).reshape(image.height, image.width)
    rows, columns = np.arange(0, image.height, _BLOCK), np.arange(0, image.width, _BLOCK)
    sums = np.add.reduceat(np.add.reduceat(pixels, rows, axis=0, dtype=np.float64), columns, axis=1)
    heights, widths = np.diff(rows, append=image.height), np.diff(columns, append=image.width)
    means: NDArray[np.float64] = sums / np.outer(heights, widths)
    return means
