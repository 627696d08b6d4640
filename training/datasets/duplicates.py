"""Images that are there twice: found by their hashes, however many there are."""

from __future__ import annotations

import hashlib
from collections import defaultdict

from training.datasets.pictures import HASH_BYTES

NEAR_BITS = 15
"""Two hashes that differ in at most so many of 256 bits are of the same image.

Of 120 phantom chests no two differ in fewer than 28; copies of them in another size, compressed and
brightened, differ in 18 at most.
"""

_BANDS = NEAR_BITS + 1
_BAND_BYTES = HASH_BYTES // _BANDS


class SeenImages:
    """Remembers hashes with split and report, and says whether a new one repeats an old one.

    Two hashes within NEAR_BITS agree wholly in one of the 16 bands at least, so only those that share a
    band are compared.
    """

    def __init__(self) -> None:
        self._bands: list[dict[bytes, list[int]]] = [defaultdict(list) for _ in range(_BANDS)]
        self._seen: list[tuple[int, str, bytes]] = []

    def repeats(self, image_hash: bytes, split: str, report: str) -> str:
        """Return why the image is not to be kept; empty if it is new.

        The same image with the same report is a duplicate; the same image in another split is a leak whatever
        its report. The same image with another report in the same split stays.
        """
        value, text = int.from_bytes(image_hash), _digest(report)
        for place in {
            place for band, key in self._keys(image_hash) for place in self._bands[band].get(key, ())
        }:
            other, other_split, other_text = self._seen[place]
            if (value ^ other).bit_count() > NEAR_BITS:
                continue
            if other_split != split:
                return "near-duplicate of an image in another split"
            if other_text == text:
                return "near-duplicate of an image with the same report"
        return ""

    def add(self, image_hash: bytes, split: str, report: str) -> None:
        """Remember an image that is kept."""
        for band, key in self._keys(image_hash):
            self._bands[band][key].append(len(self._seen))
        self._seen.append((int.from_bytes(image_hash), split, _digest(report)))

    @staticmethod
    def _keys(image_hash: bytes) -> list[tuple[int, bytes]]:
        return [(band, image_hash[band * _BAND_BYTES : (band + 1) * _BAND_BYTES]) for band in range(_BANDS)]


def _digest(report: str) -> bytes:
    """Return a digest that does not see case, punctuation and spacing."""
    letters = "".join(letter for letter in report.casefold() if letter.isalnum())
    return hashlib.sha256(letters.encode()).digest()
