"""Names that cannot be traced back without the key: HMAC-SHA-256 of a hospital's own identifiers."""

from __future__ import annotations

import hashlib
import hmac
from datetime import timedelta
from pathlib import Path

from echo_node.errors import ConfigError

LEAST_KEY_BYTES = 16
_LONGEST_SHIFT_DAYS = 3650


class Pseudonyms:
    """Gives the same name to the same thing as long as the key is the same."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def name(self, kind: str, identifier: str) -> str:
        """Return 20 hexadecimal digits for an identifier; *kind* keeps patients and studies apart."""
        return self._digest(kind, identifier).hex()[:20]

    def shift(self, patient: str) -> timedelta:
        """Return by how many whole days a patient's dates are moved back, 1 to 3650; weeks apart stay so."""
        days = int.from_bytes(self._digest("date", patient)[:8]) % _LONGEST_SHIFT_DAYS + 1
        return timedelta(days=-days)

    @property
    def fingerprint(self) -> str:
        """What tells one key from another without telling the key."""
        return self._digest("fingerprint", "").hex()[:16]

    def _digest(self, kind: str, identifier: str) -> bytes:
        return hmac.new(self._key, f"{kind}\0{identifier}".encode(), hashlib.sha256).digest()


PUBLIC = Pseudonyms(b"identifiers that are public already")
"""For data sets whose identifiers are pseudonyms by themselves; hides nothing."""


def load_key(path: Path) -> Pseudonyms:
    """Read the key of a file: its bytes without white space at the ends.

    Raises:
        ConfigError: the file cannot be read, or is too short to keep a secret.
    """
    try:
        key = path.read_bytes().strip()
    except OSError as error:
        raise ConfigError(f"the key file {path} cannot be read: {error.strerror}") from error
    if len(key) < LEAST_KEY_BYTES:
        raise ConfigError(
            f"the key file {path} holds {len(key)} bytes, {LEAST_KEY_BYTES} are the least: "
            f"make one with `openssl rand -hex 32 > {path}`"
        )
    return Pseudonyms(key)
