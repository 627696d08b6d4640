"""Pseudonyms: HMAC-SHA-256 of a hospital's identifiers, untraceable without the key."""

from __future__ import annotations

import hashlib
import hmac
from datetime import timedelta
from pathlib import Path

from echo_node.errors import ConfigError

LEAST_KEY_BYTES = 16
_LONGEST_SHIFT_DAYS = 3650


class Pseudonyms:
    """Pseudonyms under one key; the same identifier always gets the same pseudonym.

    Args:
        key: secret key.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def name(self, kind: str, identifier: str) -> str:
        """Return 20 hexadecimal digits for an identifier.

        Args:
            kind: kind of the identifier (`patient`, `study`); a patient and a study with the same
                identifier get different pseudonyms.
            identifier: identifier to replace.
        """
        return self._digest(kind, identifier).hex()[:20]

    def shift(self, patient: str) -> timedelta:
        """Return the shift of all dates of a patient, -1 to -3650 days; intervals stay the same."""
        days = int.from_bytes(self._digest("date", patient)[:8]) % _LONGEST_SHIFT_DAYS + 1
        return timedelta(days=-days)

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the key, which does not reveal the key."""
        return self._digest("fingerprint", "").hex()[:16]

    def _digest(self, kind: str, identifier: str) -> bytes:
        return hmac.new(self._key, f"{kind}\0{identifier}".encode(), hashlib.sha256).digest()


PUBLIC = Pseudonyms(b"identifiers that are public already")
"""Pseudonyms for data sets whose identifiers are public already; they hide nothing."""


def load_key(path: Path) -> Pseudonyms:
    """Read the key from a file: its bytes, without white space at the ends.

    Raises:
        ConfigError: the file cannot be read, or is too short for a secret key.
    """
    try:
        key = path.read_bytes().strip()
    except OSError as error:
        raise ConfigError(f"the key file {path} cannot be read: {error.strerror}") from error
    if len(key) < LEAST_KEY_BYTES:
        raise ConfigError(
            f"the key file {path} has {len(key)} bytes, but the minimum is {LEAST_KEY_BYTES}: "
            f"create a key with `openssl rand -hex 32 > {path}`"
        )
    return Pseudonyms(key)
