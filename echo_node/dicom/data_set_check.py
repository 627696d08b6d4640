"""Check of an encoded data set: is it whole, and which instance is it?

This is the first code that looks into what a peer sent, or into a file from anywhere. It trusts no
length, value or UID, decodes no pixels, and repeats no value in a message.
"""

from __future__ import annotations

import hashlib
import io
import struct
from typing import BinaryIO, cast

from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag
from pydicom.uid import UID

from echo_node.dicom.header_values import PARSE_ERRORS
from echo_node.domain.identifiers import checked_uid
from echo_node.domain.studies.study import InstanceIdentity

_MOST_READ_BYTES = 4 * 1024 * 1024
_ELEMENT_HEADER_BYTES = 8
_UNDEFINED_LENGTH = 0xFFFFFFFF
_PIXEL_DATA = {0x7FE00008, 0x7FE00009, 0x7FE00010}
_FIRST_TAG_OF_A_DATA_SET = 0x00080000
_IDENTITY = ["SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"]
_SUBJECT = (
    "AccessionNumber", "PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex",
)  # fmt: skip
_READ_TAGS = [tag for tag in map(tag_for_keyword, (*_IDENTITY, *_SUBJECT)) if tag is not None]


def identity_of(data_set: BinaryIO, transfer_syntax_uid: str, *, strict_uids: bool) -> InstanceIdentity:
    """Return the checked UIDs of the instance that *data_set* encodes.

    It follows the elements to the end of the pixel data, without reading those, so that a truncated
    data set is noticed.

    Args:
        data_set: data set from the position of the stream to its end.
        transfer_syntax_uid: transfer syntax of the data set, not a deflated one.
        strict_uids: whether the UIDs of study, series and instance must obey the Standard. That of
            the SOP class always must.

    Raises:
        ValueError: the data set is malformed or truncated, or a UID is absent or malformed.
    """
    syntax = UID(transfer_syntax_uid)
    end, stream = _end_of(data_set), _Frugal(data_set)

    def is_pixel_data(tag: BaseTag, _vr: str | None, length: int) -> bool:
        if tag < _FIRST_TAG_OF_A_DATA_SET:
            raise UnusableDataSet("the data set contains command or file meta information elements")
        if length != _UNDEFINED_LENGTH and data_set.tell() + length > end:
            raise UnusableDataSet("the data set ends in the middle of an element")
        if int(tag) not in _PIXEL_DATA:
            return False
        if length == _UNDEFINED_LENGTH:
            _check_fragments(data_set, end)
        return True

    try:
        header = read_dataset(
            cast("BinaryIO", stream),
            is_implicit_VR=syntax.is_implicit_VR,
            is_little_endian=syntax.is_little_endian,
            stop_when=is_pixel_data,
            specific_tags=_READ_TAGS,
        )
        class_uid, instance_uid, study_uid, series_uid = (_uid(header, each) for each in _IDENTITY)
    except UnusableDataSet:
        raise
    except PARSE_ERRORS as error:
        raise _unparsable(error) from error
    except OSError as error:
        if error.errno is not None:  # pydicom raises some without a number, for malformed sequences
            raise
        raise _unparsable(error) from error
    if stream.is_cut:
        raise UnusableDataSet("the data set ends in the middle of an element")
    return InstanceIdentity(
        study_instance_uid=checked_uid(study_uid, "StudyInstanceUID", strict=strict_uids),
        series_instance_uid=checked_uid(series_uid, "SeriesInstanceUID", strict=strict_uids),
        sop_instance_uid=checked_uid(instance_uid, "SOPInstanceUID", strict=strict_uids),
        sop_class_uid=checked_uid(class_uid, "SOPClassUID", strict=True),
        transfer_syntax_uid=transfer_syntax_uid,
        subject=_subject(header),
    )


def _subject(header: Dataset) -> str:
    """Return a digest of the values that name patient and order, as encoded, without padding."""
    digest = hashlib.sha256()
    for keyword in _SUBJECT:
        element = header.get_item(keyword)
        value = element.value if element is not None and isinstance(element.value, bytes) else b""
        digest.update(value.strip(b" \0") + b"\0")
    return digest.hexdigest()


def _unparsable(error: Exception) -> ValueError:
    return ValueError(f"the data set cannot be parsed ({type(error).__name__})")


def _uid(header: Dataset, keyword: str) -> str:
    """Return a UID as it was sent, without its padding; empty if it is absent.

    Its bytes are read whatever its value representation is: some senders state a wrong one.
    """
    element = header.get_item(keyword)
    if element is None or not element.value:
        return ""
    if not isinstance(element.value, bytes):
        raise UnusableDataSet(f"{keyword} is a sequence")
    value = element.value.decode("latin-1").strip(" \0\t\r\n")
    if "\\" in value:
        raise UnusableDataSet(f"{keyword} has several values")
    return value


class UnusableDataSet(ValueError):
    """A fault of a data set that is known well enough to be named."""


class _Frugal:
    """A stream that returns only a few megabytes; skipping a value costs nothing.

    Elements of undefined length before the pixel data, such as a sequence of a million empty items,
    would need many times their size in memory.

    Attributes:
        is_cut: whether the stream ended in the middle of an element's tag, length or item.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self.is_cut = False
        self._stream = stream
        self._left = _MOST_READ_BYTES
        self.seek, self.tell = stream.seek, stream.tell

    def read(self, count: int = -1) -> bytes:
        content = self._stream.read(min(count, self._left + 1) if count >= 0 else self._left + 1)
        self._left -= len(content)
        if self._left < 0:
            raise UnusableDataSet(f"more than {_MOST_READ_BYTES // 2**20} MB precede the pixel data")
        if len(content) < count <= _ELEMENT_HEADER_BYTES and content.strip(b"\0"):
            self.is_cut = True
        return content


def _end_of(stream: BinaryIO) -> int:
    """Return the end position of a stream."""
    start = stream.tell()
    end = stream.seek(0, io.SEEK_END)
    stream.seek(start)
    return end


def _check_fragments(data_set: BinaryIO, end: int) -> None:
    """Follow the items of encapsulated pixel data (PS3.5 A.4); a last delimiter is optional."""
    position = data_set.tell()
    while position + 8 <= end:
        data_set.seek(position)
        group, element, length = struct.unpack("<HHL", data_set.read(8))
        if (group, element) == (0xFFFE, 0xE0DD):
            return
        if (group, element) != (0xFFFE, 0xE000):
            raise UnusableDataSet("the compressed pixel data is not a sequence of fragments")
        position += 8 + length
    if position > end:
        raise UnusableDataSet("the data set ends in the middle of the compressed pixel data")
