"""Reading the attributes of received and stored instances, never their pixels.

First thing that looks into what a peer sent: nothing here trusts lengths, values or UIDs, and no
message repeats a value.
"""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, cast

from pydicom import dcmread
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.filebase import DicomIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_file_meta_info
from pydicom.tag import BaseTag
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from echo_node.domain.identifiers import checked_uid
from echo_node.domain.studies.study import InstanceIdentity, StoredInstance
from echo_node.errors import PermanentError

MAXIMUM_FILE_BYTES = 256 * 1024 * 1024
"""Twice the largest radiograph that is read; a file of more, or one that inflates to more, is refused."""

_MOST_READ_BYTES = 4 * 1024 * 1024
_UNDEFINED_LENGTH = 0xFFFFFFFF
_PIXEL_DATA = {0x7FE00008, 0x7FE00009, 0x7FE00010}
_FIRST_TAG_OF_A_DATA_SET = 0x00080000
_LONGEST_META_BYTES = 65536
_IDENTITY = ["SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"]

PARSE_ERRORS = (
    InvalidDicomError,
    EOFError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    NotImplementedError,
    OverflowError,
    RecursionError,
    struct.error,
    LookupError,
)
"""What pydicom raises on bytes that are not what they claim to be."""

HEADER_KEYWORDS = (
    # identity and dates
    "SpecificCharacterSet", "TimezoneOffsetFromUTC", *_IDENTITY, "StudyID", "SeriesNumber", "InstanceNumber",
    "StudyDate", "StudyTime", "SeriesDate", "SeriesTime", "AcquisitionDate", "AcquisitionTime",
    "AcquisitionDateTime", "ContentDate", "ContentTime",
    # patient
    "PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex",
    "PatientAge", "PatientSize", "PatientWeight", "OtherPatientIDsSequence",
    # order
    "AccessionNumber", "IssuerOfAccessionNumberSequence", "ReferringPhysicianName", "StudyDescription",
    "RequestAttributesSequence", "RequestedProcedureDescription", "RequestedProcedureCodeSequence",
    "PlacerOrderNumberImagingServiceRequest", "FillerOrderNumberImagingServiceRequest",
    "ReferencedStudySequence", "InstitutionName",
    # what the image shows
    "Modality", "ImageType", "BodyPartExamined", "AnatomicRegionSequence", "ViewPosition", "ViewCodeSequence",
    "ProtocolName", "SeriesDescription", "PerformedProcedureStepDescription",
    "AcquisitionDeviceProcessingDescription", "PatientOrientation", "Laterality", "ImageLaterality",
    "FieldOfViewHorizontalFlip", "FieldOfViewRotation", "LossyImageCompression", "BurnedInAnnotation",
    # what the pixels are
    "Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation",
)  # fmt: skip
"""The attributes of a stored instance that selection and the report need."""


def _tags(keywords: tuple[str, ...] | list[str]) -> list[BaseTag | int]:
    return [tag for tag in map(tag_for_keyword, keywords) if tag is not None]


_IDENTITY_TAGS = _tags(_IDENTITY)
_HEADER_TAGS = [int(tag) for tag in _tags(HEADER_KEYWORDS)]


def identity_of(data_set: BinaryIO, transfer_syntax_uid: str) -> InstanceIdentity:
    """Return what names the instance that *data_set* encodes, all UIDs checked.

    Walks the elements up to the end of the pixel data without decoding or reading these, so that a data set
    that ends too early is noticed.

    Args:
        data_set: as received, from where the stream is to its end, without file meta information.
        transfer_syntax_uid: of the presentation context; not a deflated one.

    Raises:
        ValueError: the bytes are no whole data set, or a UID is absent or malformed.
    """
    syntax = UID(transfer_syntax_uid)
    end = _end_of(data_set)

    def is_pixel_data(tag: BaseTag, _vr: str | None, length: int) -> bool:
        if tag < _FIRST_TAG_OF_A_DATA_SET:
            raise _Unusable("the data set holds command or file meta information elements")
        if length != _UNDEFINED_LENGTH and data_set.tell() + length > end:
            raise _Unusable("the data set ends in the middle of an element")
        if int(tag) not in _PIXEL_DATA:
            return False
        if length == _UNDEFINED_LENGTH:
            _check_fragments(data_set, end)
        return True

    try:
        header = read_dataset(
            cast("BinaryIO", _Frugal(data_set)),
            is_implicit_VR=syntax.is_implicit_VR,
            is_little_endian=syntax.is_little_endian,
            stop_when=is_pixel_data,
            specific_tags=_IDENTITY_TAGS,
        )
        class_uid, instance_uid, study_uid, series_uid = (str(header.get(each) or "") for each in _IDENTITY)
    except _Unusable:
        raise
    except PARSE_ERRORS as error:
        raise ValueError(f"the data set cannot be parsed ({type(error).__name__})") from error
    return InstanceIdentity(
        study_instance_uid=checked_uid(study_uid, "StudyInstanceUID"),
        series_instance_uid=checked_uid(series_uid, "SeriesInstanceUID"),
        sop_instance_uid=checked_uid(instance_uid, "SOPInstanceUID"),
        sop_class_uid=checked_uid(class_uid, "SOPClassUID"),
        transfer_syntax_uid=transfer_syntax_uid,
    )


class _Unusable(ValueError):
    """The data set was parsed far enough to say what is wrong with it."""


class _Frugal:
    """A stream of which no more than some megabytes are read; passing over a value costs nothing.

    What is encoded without a length before the pixel data, such as a sequence of a million empty items,
    would fill many times its size of memory.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._left = _MOST_READ_BYTES
        self.seek, self.tell = stream.seek, stream.tell

    def read(self, count: int = -1) -> bytes:
        content = self._stream.read(min(count, self._left + 1) if count >= 0 else self._left + 1)
        self._left -= len(content)
        if self._left < 0:
            raise _Unusable(f"more than {_MOST_READ_BYTES // 2**20} MB stand before the pixel data")
        return content


def _end_of(stream: BinaryIO) -> int:
    """Return the position of a stream's end."""
    start = stream.tell()
    end = stream.seek(0, io.SEEK_END)
    stream.seek(start)
    return end


def _check_fragments(data_set: BinaryIO, end: int) -> None:
    """Follow the items of encapsulated pixel data (PS3.5 A.4); a missing last delimiter is forgiven."""
    position = data_set.tell()
    while position + 8 <= end:
        data_set.seek(position)
        group, element, length = struct.unpack("<HHL", data_set.read(8))
        if (group, element) == (0xFFFE, 0xE0DD):
            return
        if (group, element) != (0xFFFE, 0xE000):
            raise _Unusable("the compressed pixel data is not a sequence of fragments")
        position += 8 + length
    if position > end:
        raise _Unusable("the data set ends in the middle of the compressed pixel data")


def read_header(path: Path | io.BytesIO) -> Dataset:
    """Return the attributes of HEADER_KEYWORDS of the DICOM file at *path*, or in memory.

    Raises:
        PermanentError: it cannot be read, or is not a DICOM file.
    """
    try:
        with _opened(path) as file:
            header = dcmread(_bounded(file), stop_before_pixels=True, specific_tags=_HEADER_TAGS)
            # Elements are decoded when first looked at: look now, so that a broken one is met here.
            for _ in header.iterall():
                pass
    except OSError as error:
        raise PermanentError(f"the file cannot be read ({error.strerror or type(error).__name__})") from error
    except PARSE_ERRORS as error:
        raise PermanentError("the file is not a readable DICOM file") from error
    return header


def read_whole(path: Path) -> Dataset:
    """Return the data set of the DICOM file at *path*, pixel data included, in bounded memory.

    Raises:
        PermanentError: it cannot be read, is not a DICOM file, or is larger than that of a radiograph.
    """
    try:
        _check_size(path.stat().st_size)
        with path.open("rb") as file:
            return dcmread(_bounded(file))
    except OSError as error:
        raise PermanentError(
            f"the image cannot be read ({error.strerror or type(error).__name__})"
        ) from error
    except PARSE_ERRORS as error:
        raise PermanentError("the image is not a readable DICOM file") from error


def instance_from_file(path: Path) -> StoredInstance:
    """Return the instance in a DICOM file from anywhere, as if it had been received.

    Raises:
        PermanentError: it is not a whole DICOM file, or a UID in it is absent or malformed.
    """
    try:
        _check_size(path.stat().st_size)
        part10 = path.read_bytes()
    except OSError as error:
        raise PermanentError(f"the file cannot be read ({error.strerror or type(error).__name__})") from error
    meta, data_set = split(part10)
    try:
        syntax = checked_uid(text(meta, "TransferSyntaxUID"), "TransferSyntaxUID")
        if syntax == DeflatedExplicitVRLittleEndian:
            identity = replace(
                identity_of(io.BytesIO(_inflated(data_set)), ExplicitVRLittleEndian),
                transfer_syntax_uid=syntax,
            )
        else:
            identity = identity_of(io.BytesIO(data_set), syntax)
    except PARSE_ERRORS as error:
        reason = f": {error}" if type(error) in {ValueError, _Unusable} else ""
        raise PermanentError(f"not a whole DICOM file{reason}") from error
    return StoredInstance(identity, path, hashlib.sha256(data_set).hexdigest())


def _check_size(size_bytes: int) -> None:
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
    _check_size(_end_of(file))
    meta, data_set = split(file.read())
    file.seek(0)
    if text(meta, "TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        return file
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    plain = io.BytesIO(b"\0" * 128 + b"DICM")
    plain.seek(0, io.SEEK_END)
    write_file_meta_info(DicomIO(plain), FileMetaDataset(meta), enforce_standard=False)
    plain.write(_inflated(data_set))
    plain.seek(0)
    return plain


def _inflated(data_set: bytes) -> bytes:
    """Return a deflated data set (PS3.5 A.5) inflated.

    Raises:
        PermanentError: it cannot be inflated, ends too early, or becomes larger than a radiograph's.
    """
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        inflated = inflater.decompress(data_set, MAXIMUM_FILE_BYTES)
    except zlib.error as error:
        raise PermanentError("the deflated data set is damaged") from error
    if inflater.unconsumed_tail:
        raise PermanentError(
            f"the deflated data set becomes larger than {MAXIMUM_FILE_BYTES // 2**20} MB: not one radiograph"
        )
    if not inflater.eof:
        raise PermanentError("the deflated data set is truncated")
    return inflated


def split(part10: bytes) -> tuple[Dataset, bytes]:
    """Return the file meta information of a PS3.10 file, and its encoded data set byte for byte.

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


def text(header: Dataset, keyword: str) -> str:
    """Return an attribute as one string, its values joined by backslashes; empty if absent."""
    return "\\".join(values(header, keyword))


def values(header: Dataset, keyword: str) -> list[str]:
    """Return an attribute's values as stripped strings; none if it is absent."""
    value = header.get(keyword)
    if value is None or value == "":
        return []
    many = value if isinstance(value, list | tuple) or hasattr(value, "append") else [value]
    return [str(each).strip(" \0") for each in many]
