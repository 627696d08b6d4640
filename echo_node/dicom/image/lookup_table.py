"""A Modality or VOI LUT of a file, read exactly (PS3.3 C.11.1.1, C.11.2.1.1).

Writers differ: the numbers of the descriptor may be signed or unsigned, and the entries words,
packed bytes or a list. pydicom's own functions are not used here, because they wrap the indices of
8-bit LUTs with more than 256 entries.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

_WORDS = 1 << 16


@dataclass(frozen=True, slots=True)
class LookupTable:
    """A table from values to entries. Values outside it get the first or the last entry.

    Attributes:
        entries: entries in the order of values.
        first: value of the first entry.
        bits: number of bits of an entry; the brightest is 2**bits - 1.
    """

    entries: NDArray[np.uint16]
    first: int
    bits: int

    def __call__(self, values: NDArray[np.floating | np.integer]) -> NDArray[np.float64]:
        """Return the entries of *values*, rounded to integers."""
        indices = np.clip(np.rint(values) - self.first, 0, len(self.entries) - 1)
        return np.asarray(self.entries[indices.astype(np.int64)], dtype=np.float64)


def lookup_table(item: Dataset, *, is_signed: bool, little_endian: bool) -> LookupTable:
    """Read an item of a Modality LUT Sequence or VOI LUT Sequence.

    Args:
        item: item with LUTDescriptor and LUTData.
        is_signed: whether mapped values, and so the first of them, can be negative.
        little_endian: whether the file is little endian.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: the item is invalid.
    """
    count, first, bits = (int(each) % _WORDS for each in item.LUTDescriptor)
    count = count or _WORDS
    if not 1 <= bits <= 16:
        raise ValueError("a LUT entry has 1 to 16 bits")
    if is_signed and first >= _WORDS // 2:
        first -= _WORDS
    entries = _entries(item.LUTData, count, bits, "<u2" if little_endian else ">u2")
    # Entries larger than the descriptor allows prove the descriptor wrong.
    return LookupTable(entries, first, max(bits, int(entries.max()).bit_length()))


def _entries(data: object, count: int, bits: int, word: str) -> NDArray[np.uint16]:
    if isinstance(data, bytes):
        words = np.frombuffer(data[: len(data) // 2 * 2], word).astype("<u2")
        odd = np.frombuffer(data[len(words) * 2 :], np.uint8)
    else:
        words, odd = np.atleast_1d(np.asarray(data)).astype("<u2"), np.empty(0, np.uint8)
    if len(words) >= count:
        return words[:count]
    octets = np.concatenate((words.view(np.uint8), odd))  # two entries to a word, the lower byte first
    if bits > 8 or len(octets) < count:
        raise ValueError("a LUT has fewer entries than its descriptor states")
    return octets[:count].astype(np.uint16)
