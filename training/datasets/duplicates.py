"""Detection of duplicate images by their perceptual hashes, fast for any number of images."""

from __future__ import annotations

import hashlib
from collections import defaultdict

from training.datasets.images import COARSE_BYTES

NEAR_BITS = 15
"""Maximum difference between the coarse hashes of duplicates, in bits of 256."""
NEAR_FINE_BITS = 64
"""Maximum difference between the fine hashes of duplicates, in bits of 1,024.

Of the 1,124,250 pairs of 1,500 phantom chests, 4,396 are within the limit of the coarse hash, and 2
within both limits. All of 600 copies (other sizes, brightened, JPEG of quality 60) are within both.
"""

_BANDS = NEAR_BITS + 1
_BAND_BYTES = COARSE_BYTES // _BANDS


class SeenImages:
    """Images seen so far, with split and report, for comparison with each new image.

    Two coarse hashes within NEAR_BITS are equal in at least one of the 16 bands. Therefore only
    images that share a band are compared.
    """

    def __init__(self) -> None:
        self._bands: list[dict[bytes, list[int]]] = [defaultdict(list) for _ in range(_BANDS)]
        self._seen: list[tuple[bytes, str, bytes]] = []

    def repeats(self, image_hash: bytes, split: str, report: str) -> str:
        """Return the reason to reject an image; empty if the image can be kept.

        The same image with the same report is a duplicate. The same image in another split is a
        leak, regardless of its report. The same image with another report in the same split is
        kept.
        """
        text = _digest(report)
        for place in {
            place for band, key in self._keys(image_hash) for place in self._bands[band].get(key, ())
        }:
            other, other_split, other_text = self._seen[place]
            if not _is_near(image_hash, other):
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
        self._seen.append((image_hash, split, _digest(report)))

    @staticmethod
    def _keys(image_hash: bytes) -> list[tuple[int, bytes]]:
        return [(band, image_hash[band * _BAND_BYTES : (band + 1) * _BAND_BYTES]) for band in range(_BANDS)]


def _is_near(one: bytes, other: bytes) -> bool:
    differing = int.from_bytes(one) ^ int.from_bytes(other)
    fine = differing & ((1 << 8 * (len(one) - COARSE_BYTES)) - 1)
    return fine.bit_count() <= NEAR_FINE_BITS and differing.bit_count() - fine.bit_count() <= NEAR_BITS


def _digest(report: str) -> bytes:
    """Return a digest of a report that ignores case, punctuation and spacing."""
    letters = "".join(letter for letter in report.casefold() if letter.isalnum())
    return hashlib.sha256(letters.encode()).digest()
