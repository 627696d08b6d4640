"""Stored DICOM files, read in bounded memory: headers and whole data sets.

Nothing here trusts the lengths that a peer sent, and no message repeats a value. The values of a
header are read by header_values.py.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import BinaryIO

from pydicom import dcmread
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.filebase import DicomIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from echo_node.dicom.characters.header_texts import decode_texts
from echo_node.dicom.header_values import PARSE_ERRORS, decode_all, text
from echo_node.domain.studies.study import HeaderRemark
from echo_node.errors import PermanentError

MAXIMUM_FILE_BYTES = 256 * 1024 * 1024
"""Twice the largest radiograph. A larger file, or one that inflates to more, is refused."""

_LONGEST_META_BYTES = 65536

HEADER_KEYWORDS = (
    # identity and dates
    "SpecificCharacterSet", "TimezoneOffsetFromUTC", "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID",
    "SeriesInstanceUID", "StudyID", "SeriesNumber", "InstanceNumber",
    "StudyDate", "StudyTime", "SeriesDate", "SeriesTime", "AcquisitionDate", "AcquisitionTime",
    "AcquisitionDateTime", "ContentDate", "ContentTime",
    # patient
    "PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex",
    "PatientAge", "PatientSize", "PatientWeight", "OtherPatientIDsSequence",
    "IssuerOfPatientIDQualifiersSequence", "OtherPatientIDs", "OtherPatientNames", "PatientBirthName",
    # order
    "AccessionNumber", "IssuerOfAccessionNumberSequence", "ReferringPhysicianName", "StudyDescription",
    "RequestAttributesSequence", "RequestedProcedureDescription", "RequestedProcedureCodeSequence",
    "PlacerOrderNumberImagingServiceRequest", "FillerOrderNumberImagingServiceRequest",
    "ReferencedRequestSequence", "RequestedProcedureID", "ReferencedStudySequence", "InstitutionName",
    # what the image shows
    "Modality", "ImageType", "BodyPartExamined", "AnatomicRegionSequence", "ViewPosition", "ViewCodeSequence",
    "ViewModifierCodeSequence", "ProjectionEponymousNameCodeSequence", "PrimaryAnatomicStructureSequence",
    "PresentationIntentType", "PatientPosition", "PatientOrientationCodeSequence",
    "PatientOrientationModifierCodeSequence", "AcquisitionContextSequence", "DerivationCodeSequence",
    "DerivationDescription", "ContentDescription", "ImageComments", "AcquisitionComments",
    "ProcessingFunction", "PostprocessingFunction", "SeriesDescriptionCodeSequence",
    "ProtocolName", "AcquisitionProtocolName", "AcquisitionProtocolDescription",
    "PerformedProtocolCodeSequence", "ProcedureCodeSequence",
    "SeriesDescription", "PerformedProcedureStepDescription",
    "AcquisitionDeviceProcessingDescription", "PatientOrientation", "Laterality", "ImageLaterality",
    "FieldOfViewHorizontalFlip", "FieldOfViewRotation", "LossyImageCompression", "BurnedInAnnotation",
    # what the pixels are
    "Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation",
)  # fmt: skip
"""Attributes of a stored instance that selection and documents need."""


class Header(Dataset):
    """Attributes of an instance, with their texts decoded.

    Attributes:
        remarks: remarks on how the texts were read.
    """

    def __init__(self, elements: FileDataset, remarks: tuple[HeaderRemark, ...]) -> None:
        super().__init__(elements)
        self.file_meta = elements.file_meta
        self.remarks = remarks


def read_header(
    path: Path | io.BytesIO,
    keywords: Iterable[str] = HEADER_KEYWORDS,
    character_set_of_sender: Sequence[str] = (),
) -> Header:
    """Return attributes of the DICOM file at *path*, or in memory.

    Args:
        path: the file.
        keywords: the attributes.
        character_set_of_sender: Specific Character Set of the sender's objects that state none.

    Raises:
        PermanentError: it cannot be read, or is not a DICOM file.
    """
    tags = [int(tag) for tag in map(tag_for_keyword, keywords) if tag is not None]
    try:
        with _opened(path) as file:
            header = dcmread(_bounded(file), stop_before_pixels=True, specific_tags=tags)
            remarks = decode_texts(header, character_set_of_sender)
            decode_all(header)
    except OSError as error:
        raise PermanentError(f"the file cannot be read ({error.strerror or type(error).__name__})") from error
    except PARSE_ERRORS as error:
        raise PermanentError("the file is not a readable DICOM file") from error
    return Header(header, remarks)


def read_whole(path: Path) -> Dataset:
    """Return the data set of the DICOM file at *path*, pixel data included, in bounded memory.

    Raises:
        PermanentError: it cannot be read, is not a DICOM file, or is larger than a radiograph.
    """
    try:
        check_size(path.stat().st_size)
        with path.open("rb") as file:
            return dcmread(_bounded(file))
    except OSError as error:
        raise PermanentError(
            f"the image cannot be read ({error.strerror or type(error).__name__})"
        ) from error
    except PARSE_ERRORS as error:
        raise PermanentError("the image is not a readable DICOM file") from error


def check_size(size_bytes: int) -> None:
    """Check that a file of this size may be read into memory.

    Raises:
        PermanentError: it is larger than any radiograph.
    """
    if size_bytes > MAXIMUM_FILE_BYTES:
        raise PermanentError(f"the file is larger than {MAXIMUM_FILE_BYTES // 2**20} MB: not one radiograph")


def _opened(source: Path | io.BytesIO) -> AbstractContextManager[BinaryIO]:
    return nullcontext(source) if isinstance(source, io.BytesIO) else source.open("rb")


def _bounded(file: BinaryIO) -> BinaryIO:
    """Return a stream that pydicom may parse: *file*, or the inflated data set of a deflated file.

    pydicom would inflate data sets of any size, a gigabyte from each megabyte.
    """
    start = file.read(_LONGEST_META_BYTES)
    file.seek(0)
    if start[128:132] != b"DICM" or DeflatedExplicitVRLittleEndian.encode() not in start:
        return file
    check_size(file.seek(0, io.SEEK_END))
    file.seek(0)
    meta, data_set = split(file.read())
    file.seek(0)
    if text(meta, "TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        return file
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    plain = io.BytesIO(b"\0" * 128 + b"DICM")
    plain.seek(0, io.SEEK_END)
    write_file_meta_info(DicomIO(plain), FileMetaDataset(meta), enforce_standard=False)
    plain.write(inflated(data_set))
    plain.seek(0)
    return plain


def inflated(data_set: bytes) -> bytes:
    """Return a deflated data set (PS3.5 A.5) inflated.

    Raises:
        PermanentError: it cannot be inflated, is truncated, or is larger than a radiograph.
    """
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        content = inflater.decompress(data_set, MAXIMUM_FILE_BYTES)
    except zlib.error as error:
        raise PermanentError("the deflated data set is damaged") from error
    if inflater.unconsumed_tail:
        raise PermanentError(
            f"the deflated data set becomes larger than {MAXIMUM_FILE_BYTES // 2**20} MB: not one radiograph"
        )
    if not inflater.eof:
        raise PermanentError("the deflated data set is truncated")
    return content


def split(part10: bytes) -> tuple[Dataset, bytes]:
    """Return the file meta information of a PS3.10 file, and its encoded data set.

    Raises:
        PermanentError: the file meta information is missing or broken.
    """
    stream = io.BytesIO(part10)
    stream.seek(128)
    if stream.read(4) != b"DICM":
        raise PermanentError("not a DICOM file: it has no DICM prefix")
    try:
        meta = read_dataset(
            stream,
            is_implicit_VR=False,
            is_little_endian=True,
            stop_when=lambda tag, _vr, _length: tag.group != 0x0002,
        )
    except PARSE_ERRORS as error:
        raise PermanentError("the file's meta information cannot be parsed") from error
    return meta, part10[stream.tell() :]
