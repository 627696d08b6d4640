"""Data sets are checked before their UIDs are used: whole, valid UIDs, bounded memory."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset

from echo_node.dicom import data_set_check
from echo_node.dicom.header import split
from echo_node.dicom.instance_file import instance_from_file

EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
JPEG_2000 = "1.2.840.10008.1.2.4.90"

Sample = Callable[[str], Path]
MakeChest = Callable[..., Dataset]


identity_of = partial(data_set_check.identity_of, strict_uids=True)


def encoded(image: Dataset, *, implicit: bool = False, little_endian: bool = True) -> bytes:
    stream = io.BytesIO()
    del image.file_meta
    image.save_as(stream, implicit_vr=implicit, little_endian=little_endian)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("syntax", "implicit", "little_endian"),
    [(EXPLICIT, False, True), (IMPLICIT, True, True), (BIG_ENDIAN, False, False)],
)
def test_identity_in_every_uncompressed_syntax(
    make_chest: MakeChest, syntax: str, implicit: bool, little_endian: bool
) -> None:
    identity = identity_of(
        io.BytesIO(encoded(make_chest(), implicit=implicit, little_endian=little_endian)), syntax
    )
    assert identity.study_instance_uid == "1.2.3"
    assert identity.series_instance_uid == "1.2.3.0"
    assert identity.sop_instance_uid == "1.2.3.1"
    assert identity.sop_class_uid == "1.2.840.10008.5.1.4.1.1.1"
    assert identity.transfer_syntax_uid == syntax


@pytest.mark.parametrize(
    "name", ["RG1_UNCR", "RG1_J2KR", "RG3_J2KI", "JPEG-lossy", "MR_small_RLE", "SC_rgb_jpeg_dcmtk"]
)
def test_identity_of_real_files_is_what_pydicom_reads(sample: Sample, name: str) -> None:
    expected = dcmread(sample(name), stop_before_pixels=True)
    instance = instance_from_file(sample(name))
    assert instance.identity.sop_instance_uid == expected.SOPInstanceUID
    assert instance.identity.transfer_syntax_uid == expected.file_meta.TransferSyntaxUID


@pytest.mark.parametrize(
    "keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"]
)
@pytest.mark.parametrize(
    "value", ["../../../etc/passwd", "1.2.3/4", "1..2", "01.2", "1." * 40 + "1", "", None]
)
def test_a_malformed_or_absent_uid_is_refused_without_repeating_it(
    make_chest: MakeChest, keyword: str, value: str | None
) -> None:
    data_set = encoded(make_chest(**{keyword: value}))
    with pytest.raises(ValueError, match=keyword) as refusal:
        identity_of(io.BytesIO(data_set), EXPLICIT)
    assert not value or value not in str(refusal.value)


@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("name", ["RG1_UNCR", "RG1_J2KR"])
def test_a_truncated_data_set_is_noticed(sample: Sample, name: str, fraction: float) -> None:
    meta, data_set = split(sample(name).read_bytes())
    with pytest.raises(ValueError, match=r"ends in the middle|not a valid DICOM UID"):
        identity_of(io.BytesIO(data_set[: int(len(data_set) * fraction)]), str(meta.TransferSyntaxUID))


def test_a_missing_last_delimiter_is_forgiven(sample: Sample) -> None:
    meta, data_set = split(sample("RG1_J2KR").read_bytes())
    assert data_set.endswith(b"\xfe\xff\xdd\xe0\0\0\0\0")
    assert meta.TransferSyntaxUID == JPEG_2000
    whole, cut = (identity_of(io.BytesIO(each), JPEG_2000) for each in (data_set, data_set[:-8]))
    assert cut == whole


@pytest.mark.parametrize(
    "before",
    [
        b"\x08\0\x05\x10SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\0\xe0\0\0\0\0" * 700_000,  # of empty items
        b"\x08\0\x05\x10OB\0\0\xff\xff\xff\xff" + bytes(5_000_000),  # without a length, and without an end
    ],
)
def test_what_is_read_of_a_header_is_bounded(make_chest: MakeChest, before: bytes) -> None:
    with pytest.raises(ValueError, match="4 MB precede the pixel data"):
        identity_of(io.BytesIO(before + encoded(make_chest())), EXPLICIT)


def test_long_values_are_passed_over(make_chest: MakeChest) -> None:
    image = make_chest()
    image.add_new(0x00091010, "OB", bytes(6_000_000))
    image.add_new(0x00090010, "LO", "PRIVATE")
    data_set = encoded(image)
    assert identity_of(io.BytesIO(data_set), EXPLICIT).sop_instance_uid == "1.2.3.1"


def test_a_data_set_is_read_from_where_the_stream_is(make_chest: MakeChest) -> None:
    data_set = encoded(make_chest())
    stream = io.BytesIO(b"what goes before" + data_set)
    stream.seek(16)
    assert identity_of(stream, EXPLICIT) == identity_of(io.BytesIO(data_set), EXPLICIT)


def test_elements_of_file_meta_information_do_not_belong_in_a_data_set(make_chest: MakeChest) -> None:
    smuggled = b"\x02\x00\x10\x00UI\x12\x001.2.840.10008.1.2\0"
    with pytest.raises(ValueError, match="file meta information"):
        identity_of(io.BytesIO(smuggled + encoded(make_chest())), EXPLICIT)


@pytest.mark.filterwarnings("ignore:Expected .* VR")
@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=400), st.sampled_from([EXPLICIT, IMPLICIT, BIG_ENDIAN, JPEG_2000]))
def test_any_bytes_give_an_identity_or_a_value_error(data_set: bytes, syntax: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        identity_of(io.BytesIO(data_set), syntax)


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"])
@pytest.mark.parametrize(
    ("uid", "fault"),
    [
        ("1.2.276.0.7230010.3.1.2.0815", "has a leading zero"),
        ("1.2.840.113845." + "9" * 60, "is longer than 64 characters"),
        ("1.2.3." + "4" * 122, "is longer than 64 characters"),
        ("1.2.840.113619.2.55.", "has an empty component"),
        ("1.2..3", "has an empty component"),
        ("20260101", "has one component only"),
    ],
)
def test_a_uid_that_breaks_the_standard_is_taken_as_it_is_or_refused(
    make_chest: MakeChest, keyword: str, uid: str, fault: str
) -> None:
    data_set = encoded(make_chest(**{keyword: uid}))
    identity = data_set_check.identity_of(io.BytesIO(data_set), EXPLICIT, strict_uids=False)
    assert uid in {identity.study_instance_uid, identity.series_instance_uid, identity.sop_instance_uid}
    with pytest.raises(ValueError, match=f"^{keyword} {fault}$"):
        identity_of(io.BytesIO(data_set), EXPLICIT)


@pytest.mark.parametrize("padding", [b"  ", b"\0\0", b"\0 ", b" \0"])
def test_padding_of_a_uid_is_not_part_of_it(make_chest: MakeChest, padding: bytes) -> None:
    data_set = encoded(make_chest(StudyInstanceUID="1.2.34567890"))
    padded = data_set.replace(b"1.2.34567890", b"1.2.345678" + padding)
    assert identity_of(io.BytesIO(padded), EXPLICIT).study_instance_uid == "1.2.345678"


@pytest.mark.parametrize("vr", ["LO", "SH", "ST", "CS", "DS", "IS", "PN", "DA", "US", "FD", "AT", "XX"])
def test_a_uid_under_another_value_representation_is_a_uid(make_chest: MakeChest, vr: str) -> None:
    data_set = encoded(make_chest(StudyInstanceUID="1.2.345678"))
    spoilt = data_set.replace(b"\x20\0\x0d\0UI", b"\x20\0\x0d\0" + vr.encode())
    assert spoilt != data_set
    assert identity_of(io.BytesIO(spoilt), EXPLICIT).study_instance_uid == "1.2.345678"


@pytest.mark.parametrize(
    ("vr", "value", "fault"),
    [
        ("FD", b"Doe^Jane", "has characters besides digits and dots"),
        ("OB", b"1.2.34", ""),
        ("UN", b"1.2.34", ""),
        ("SQ", b"", "is absent"),
    ],
)
def test_a_uid_under_a_long_value_representation(
    make_chest: MakeChest, vr: str, value: bytes, fault: str
) -> None:
    data_set = encoded(make_chest(StudyInstanceUID="1.2.345678"))
    at = data_set.index(b"\x20\0\x0d\0UI")
    header = struct.pack("<2sH" if vr == "FD" else "<2sxxL", vr.encode(), len(value))
    spoilt = io.BytesIO(data_set[: at + 4] + header + value + data_set[at + 18 :])
    if fault:
        with pytest.raises(ValueError, match=f"^StudyInstanceUID {fault}$"):
            identity_of(spoilt, EXPLICIT)
    else:
        assert identity_of(spoilt, EXPLICIT).study_instance_uid == value.decode()


@pytest.mark.parametrize(
    ("uid", "fault"),
    [
        ("1.2.840.A", "has characters besides digits and dots"),
        ("1.2.840 .1", "has characters besides digits and dots"),
        ("../../etc", "begins with a dot"),
        (".1.2", "begins with a dot"),
        ("1.2\\1.3", "has several values"),
        ("1.2." + "5" * 125, "is longer than 128 characters"),
        ("", "is absent"),
    ],
)
def test_what_is_no_uid_is_refused_by_the_lenient_too(make_chest: MakeChest, uid: str, fault: str) -> None:
    data_set = encoded(make_chest(SeriesInstanceUID=uid))
    with pytest.raises(ValueError, match=f"^SeriesInstanceUID {fault}$"):
        data_set_check.identity_of(io.BytesIO(data_set), EXPLICIT, strict_uids=False)


def test_the_sop_class_is_always_exact(make_chest: MakeChest) -> None:
    data_set = encoded(make_chest(SOPClassUID="1.2.840.10008.5.1.4.1.1.01"))
    with pytest.raises(ValueError, match=r"^SOPClassUID has a leading zero$"):
        data_set_check.identity_of(io.BytesIO(data_set), EXPLICIT, strict_uids=False)
