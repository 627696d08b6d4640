"""Odd descriptors and data of look-up tables (PS3.3 C.11.1.1)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from support.radiographs import lut

from echo_node.dicom.image.lookup_table import LookupTable, lookup_table


def table(item: Dataset, *, is_signed: bool = False, little_endian: bool = True) -> LookupTable:
    return lookup_table(item, is_signed=is_signed, little_endian=little_endian)


def described(descriptor: list[int], data: object) -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if min(descriptor) < 0 else "US", descriptor)
    item.add_new("LUTData", "OW" if isinstance(data, bytes) else "US", data)
    return item


@given(
    st.lists(st.integers(0, 4095), min_size=2, max_size=40),
    st.integers(-300, 300),
    st.integers(-1000, 1000),
    st.sampled_from(["<", ">", "US"]),
)
def test_values_take_their_entry_and_those_outside_the_nearest(
    entries: list[int], first: int, value: int, form: str
) -> None:
    item = lut(entries, first, 12, vr="US" if form == "US" else "OW")
    if form == ">":
        item.LUTData = np.array(entries, ">u2").tobytes()
    found = table(item, is_signed=first < 0, little_endian=form != ">")(np.array([value]))
    assert found.tolist() == [entries[min(max(value - first, 0), len(entries) - 1)]]


@pytest.mark.parametrize(
    ("written", "is_signed", "first"),
    [(65534, True, -2), (65534, False, 65534), (-2, True, -2), (-2, False, 65534), (2, True, 2)],
)
def test_the_first_value_is_read_as_the_values_that_it_maps(
    written: int, is_signed: bool, first: int
) -> None:
    assert table(lut([1, 2, 3], written, 12), is_signed=is_signed).first == first


def test_a_count_that_was_written_signed() -> None:
    assert len(table(described([40000 - 65536, -5, 16], bytes(80000)), is_signed=True).entries) == 40000


def test_0_entries_are_65536() -> None:
    found = table(described([0, 0, 16], np.arange(65536, dtype="<u2").tobytes()))
    assert found(np.array([0, 1, 65535, 70000])).tolist() == [0, 1, 65535, 65535]


@pytest.mark.parametrize("little_endian", [True, False])
def test_8_bit_entries_are_packed_or_a_word_each(little_endian: bool) -> None:
    entries = [5, 10, 20, 250, 255]
    words = np.array(entries, "<u2" if little_endian else ">u2").tobytes()
    packed = bytes(entries) + b"\0"
    if not little_endian:
        packed = np.frombuffer(packed, "<u2").byteswap().tobytes()
    for data in (words, packed):
        assert table(described([5, 0, 8], data), little_endian=little_endian).entries.tolist() == entries


def test_packed_entries_without_their_padding() -> None:
    assert table(described([3, 0, 8], bytes([7, 8, 9]))).entries.tolist() == [7, 8, 9]


def test_a_single_entry_as_a_number() -> None:
    assert table(described([1, 0, 12], 300))(np.array([5])).tolist() == [300]


def test_more_entries_than_described_are_left_out() -> None:
    assert table(lut([1, 2, 3], 0, 12)).entries.tolist() == [1, 2, 3]
    assert table(described([2, 0, 12], [1, 2, 3])).entries.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("descriptor", "entries", "bits"),
    [([3, 0, 8], [0, 99, 255], 8), ([3, 0, 8], [0, 99, 4095], 12), ([3, 0, 16], [0, 99, 4095], 16)],
)
def test_entries_too_large_for_their_descriptor_prove_it_wrong(
    descriptor: list[int], entries: list[int], bits: int
) -> None:
    assert table(described(descriptor, entries)).bits == bits


@pytest.mark.parametrize(
    ("descriptor", "data"),
    [
        ([5, 0, 16], bytes(8)),
        ([5, 0, 16], bytes(9)),
        ([5, 0, 8], bytes(4)),
        ([5, 0, 0], bytes(10)),
        ([5, 0, 17], bytes(10)),
    ],
)
def test_a_table_that_makes_no_sense_is_an_error(descriptor: list[int], data: bytes) -> None:
    with pytest.raises(ValueError, match=r"fewer entries|1 to 16 bits"):
        table(described(descriptor, data))
