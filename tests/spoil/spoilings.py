"""Generator of malformed headers: a chest radiograph whose attributes are changed in bytes."""

import random
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from faults.world import chest, encoded
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.uid import ComputedRadiographyImageStorage

from echo_node.dicom.header import HEADER_KEYWORDS
from echo_node.dicom.scp.file_meta import file_meta

EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"

_OF_PIXELS = (
    "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "WindowCenter", "WindowWidth",
    "VOILUTFunction", "RescaleSlope", "RescaleIntercept", "PixelPaddingValue", "PixelPaddingRangeLimit",
    "PixelSpacing", "ImagerPixelSpacing", "PixelAspectRatio", "PresentationLUTShape", "ShutterShape",
    "ShutterLeftVerticalEdge", "CollimatorShape", "CollimatorLeftVerticalEdge", "VOILUTSequence",
    "ModalityLUTSequence",
)  # fmt: skip
KEYWORDS = tuple(dict.fromkeys((*HEADER_KEYWORDS, *_OF_PIXELS)))
"""Attributes that the program reads."""

NEEDED = frozenset(
    {
        # which study, which image, whose draft, which order
        "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "PatientID",
        "IssuerOfPatientID", "PatientName", "AccessionNumber", "PlacerOrderNumberImagingServiceRequest",
        "FillerOrderNumberImagingServiceRequest", "SpecificCharacterSet",
        # a frontal chest radiograph
        "BodyPartExamined", "ViewPosition", "NumberOfFrames",
        # pixels
        "Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "BitsStored",
        "HighBit", "PixelRepresentation", "VOILUTSequence", "ModalityLUTSequence", "WindowCenter",
        "WindowWidth", "RescaleSlope", "RescaleIntercept",
    }
)  # fmt: skip
"""Attributes without which there may be no draft. Without any other, the draft must be made."""

_LONG_VRS = {"OB", "OW", "OF", "SQ", "UN", "UC", "UR", "UT"}
_TEXT_VRS = ("LO", "SH", "CS", "PN", "ST", "LT", "UT", "DA", "TM", "DT", "IS", "DS", "AS", "AE", "UI", "UN")
_BINARY_VRS = ("US", "SS", "UL", "FL", "FD", "AT", "OB", "OW")
_NUMBERS = (
    "01", "1.0", "1,5", "0", "-1", "abc", "9" * 40, "1e999", "NaN", "inf", "1.", "+2", "1_0", "\u0661",
)  # fmt: skip
_DATES = (
    "1970.01.31", "1970-01-31", "19700230", "00000000", "31.01.1970", "1970", "20260102-20260103",
    "20260102101500", "99991231", "00010101", "10:15:00", "25h", "2460", "101560.1234567", "1015",
)  # fmt: skip
_AGES = ("000Y", "45Y", "45", "045", "999Y", "012M ", "-05Y", "045y", "Y45", "000D")
_TEXTS = ("\\", "a\\b", "a\\a", "\\a", "a=b=c=d", "^^^^^^^", "Chest PA", "x" * 65, "x" * 300, "y" * 20_000)
_BYTES = (
    b"", b" ", b"    ", b"\0\0", b"\t\r\n", b"\xff\xfe", b"M\xfcller^A", b"\x1b$B;3ED\x1b(B", b"\x1b",
    b"a\0b", b"\x01\x02", b"\xc3\xbc", b"\xe5\xbc\xa0^\xe4\xb8\x89", b"\x80" * 9, b"odd", b"4711\r\n",
    b" a ", b"\x7f\x7f",
)  # fmt: skip


@dataclass(frozen=True)
class Spoilt:
    """A data set with malformed attributes.

    Attributes:
        data_set: its bytes in Explicit VR Little Endian.
        meta: file meta information of the image before it was changed.
        study: its Study Instance UID before.
        how: attributes that are malformed, each with the kind of fault.
    """

    data_set: bytes
    meta: bytes
    study: str
    how: tuple[tuple[str, str], ...]

    @property
    def part10(self) -> bytes:
        """The image as a file."""
        return self.meta + self.data_set

    @property
    def is_needless(self) -> bool:
        """Whether only one attribute is malformed, and no draft needs it."""
        return len(self.how) == 1 and self.how[0][0] not in NEEDED

    def write(self, path: Path) -> Path:
        """Write the file; return the path."""
        path.write_bytes(self.part10)
        return path


def element(tag: int, vr: str, value: bytes, *, pad: bool = True) -> bytes:
    """Return an element in Explicit VR Little Endian, whatever its value."""
    if pad and len(value) % 2:
        value += b"\0" if vr in {"UI", "OB", "UN"} else b" "
    if len(value) > 0xFFFF and vr not in _LONG_VRS:
        vr = "UT"
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr.encode()
    if vr in _LONG_VRS:
        return head + struct.pack("<2xL", len(value)) + value
    return head + struct.pack("<H", len(value)) + value


def sequence(tag: int, items: list[bytes], *, undefined: bool = False) -> bytes:
    """Return a sequence with these items, of defined or undefined length."""
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + b"SQ"
    if not undefined:
        value = b"".join(struct.pack("<HHL", 0xFFFE, 0xE000, len(item)) + item for item in items)
        return head + struct.pack("<2xL", len(value)) + value
    start = b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    ends = b"\xfe\xff\x0d\xe0\0\0\0\0"
    value = b"".join(start + item + ends for item in items)
    return head + b"\0\0\xff\xff\xff\xff" + value + b"\xfe\xff\xdd\xe0\0\0\0\0"


def _tag(keyword: str) -> int:
    tag = tag_for_keyword(keyword)
    assert tag is not None, keyword
    return tag


def _text(keyword: str, value: str | bytes, vr: str = "") -> bytes:
    tag = _tag(keyword)
    return element(tag, vr or dictionary_VR(tag), value.encode() if isinstance(value, str) else value)


def _of_a_kind(values: tuple[str, ...]) -> Callable[[str, random.Random], bytes]:
    def spoil(keyword: str, randomness: random.Random) -> bytes:
        vr = dictionary_VR(_tag(keyword))
        return _text(keyword, randomness.choice(values), vr if vr in _TEXT_VRS else "LO")

    return spoil


def _wrong_vr(keyword: str, randomness: random.Random) -> bytes:
    if randomness.random() < 0.5:
        value = randomness.choice((*_NUMBERS, *_DATES, *_TEXTS, "CHEST", "PA", "4711"))
        return _text(keyword, value, randomness.choice(_TEXT_VRS))
    return element(
        _tag(keyword),
        randomness.choice(_BINARY_VRS),
        randomness.randbytes(randomness.choice((0, 1, 2, 3, 4, 8, 16))),
        pad=False,
    )


def _as_sequence(keyword: str, randomness: random.Random) -> bytes:
    inner = _text(randomness.choice(("AccessionNumber", "CodeValue", "PatientID", keyword)), "A7", "SH")
    items = randomness.choice(([], [b""], [inner], [b"", inner], [inner, inner]))
    return sequence(_tag(keyword), items, undefined=randomness.random() < 0.5)


def _spoilt_item(keyword: str, randomness: random.Random) -> bytes:
    """Return a sequence with an item in which one attribute is malformed."""
    inner = randomness.choice(
        (
            "AccessionNumber", "RequestedProcedureID", "RequestedProcedureDescription", "CodeValue",
            "CodingSchemeDesignator", "CodeMeaning", "PatientID", "TypeOfPatientID", "UniversalEntityID",
            "RequestedProcedureCodeSequence", "PlacerOrderNumberImagingServiceRequest",
        )
    )  # fmt: skip
    kind = randomness.choice([each for each in KINDS if each not in {"item", "deep"}])
    return sequence(_tag(keyword), [KINDS[kind](inner, randomness)], undefined=randomness.random() < 0.5)


def _deep(keyword: str, randomness: random.Random) -> bytes:
    tag, whole = _tag(keyword), b""
    undefined = randomness.random() < 0.5
    for _ in range(randomness.choice((3, 20, 100, 400))):
        whole = sequence(tag, [whole], undefined=undefined)
    return whole


def _unknown(keyword: str, randomness: random.Random) -> bytes:
    value = randomness.choice(_BYTES) + randomness.choice((b"", b"CHEST", b"1"))
    return element(_tag(keyword), "UN", value)


def _private(keyword: str, randomness: random.Random) -> bytes:
    """Return a wrong attribute before private elements whose creators clash, or are absent."""
    creators = [element(0x00090010, "LO", b"ACME"), element(0x00090010, "LO", b"OTHER")]
    private = element(0x00091001, randomness.choice(_TEXT_VRS), b"value")
    return b"".join(creators[: randomness.randrange(3)]) + private + _text(keyword, "?", "LO")


def _twice(keyword: str, randomness: random.Random) -> bytes:
    return _wrong_vr(keyword, randomness) + _text(keyword, "1", "LO")


def _raw(keyword: str, randomness: random.Random) -> bytes:
    tag = _tag(keyword)
    vr = dictionary_VR(tag)
    value = randomness.choice(_BYTES)
    return element(tag, vr if vr in _TEXT_VRS else "LO", value, pad=randomness.random() < 0.5)


KINDS: dict[str, Callable[[str, random.Random], bytes]] = {
    "wrong VR": _wrong_vr,
    "sequence": _as_sequence,
    "item": _spoilt_item,
    "deep": _deep,
    "unknown VR": _unknown,
    "private": _private,
    "twice": _twice,
    "bytes": _raw,
    "text": _of_a_kind(_TEXTS),
    "number": _of_a_kind(_NUMBERS),
    "date": _of_a_kind(_DATES),
    "age": _of_a_kind(_AGES),
}
"""Kinds of spoiling, by name: each returns the bytes that replace an element."""


def spoil(number: int, randomness: random.Random) -> Spoilt:
    """Return an image with one malformed attribute, or with several."""
    study = f"1.2.826.0.1.3680043.9.77.{number}"
    uids = {"StudyInstanceUID": study, "SeriesInstanceUID": f"{study}.1", "SOPInstanceUID": f"{study}.2"}
    elements = dict(_elements_of_a_whole_header())
    elements |= {_tag(keyword): _text(keyword, uid) for keyword, uid in uids.items()}
    meta = file_meta(ComputedRadiographyImageStorage, uids["SOPInstanceUID"], EXPLICIT_LITTLE_ENDIAN, "SPOIL")
    count = 1 if randomness.random() < 0.7 else randomness.randrange(2, 6)
    how = []
    for keyword in randomness.sample(KEYWORDS, count):
        kind = randomness.choice(list(KINDS))
        elements[_tag(keyword)] = KINDS[kind](keyword, randomness)
        how.append((keyword, kind))
    return Spoilt(b"".join(elements[tag] for tag in sorted(elements)), meta, study, tuple(how))


@cache
def _elements_of_a_whole_header() -> dict[int, bytes]:
    """Return the encoded elements of an image whose header states everything, by their tags."""
    header = chest("1.2.3", 48)
    header.SpecificCharacterSet = "ISO_IR 192"
    header.PatientName, header.PatientID, header.IssuerOfPatientID = "Spoilt^Sam", "4711", "HOSPITAL"
    header.PatientBirthDate, header.PatientSex, header.PatientAge = "19600102", "M", "066Y"
    header.AccessionNumber, header.StudyID, header.ReferringPhysicianName = "A77", "S1", "Ref^R"
    header.StudyDescription, header.SeriesDescription, header.ProtocolName = "Chest", "Chest PA", "Thorax"
    header.InstanceNumber, header.SeriesNumber = 1, 1
    request = Dataset()
    request.AccessionNumber, request.RequestedProcedureID = "A77", "RP7"
    request.RequestedProcedureDescription = "Chest PA"
    header.RequestAttributesSequence = [request]
    found = {_tag("PixelData"): element(_tag("PixelData"), "OB", header.PixelData)}
    del header.PixelData
    for each in header:
        alone = Dataset()
        alone[each.tag] = each
        found[int(each.tag)] = encoded(alone)
    return found
