"""Identifiers: from outside, checked before anything is named by them; our own, which are digests."""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Iterable

_UID = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))+")


def is_valid_uid(value: str) -> bool:
    """Say whether *value* is a DICOM UID (PS3.5 section 9.1): at most 64 characters, dotted numbers."""
    return len(value) <= 64 and _UID.fullmatch(value) is not None


def checked_uid(value: str, keyword: str) -> str:
    """Return *value* if it is a UID.

    Args:
        value: what the peer sent; trailing NUL padding is not removed here.
        keyword: the DICOM keyword of the attribute, for the message.

    Raises:
        ValueError: it is absent, or not a UID. The message does not repeat the value.
    """
    if not value:
        raise ValueError(f"{keyword} is absent")
    if not is_valid_uid(value):
        raise ValueError(f"{keyword} is not a valid DICOM UID")
    return value


def derived_uid(purpose: str, parts: Iterable[str]) -> str:
    """Return a UID that is a digest of *purpose* and *parts* in their order.

    The form is that of PS3.5 B.2: 2.25 and a UUID as one decimal number; the UUID is of version 8
    (RFC 9562), the first 128 bits of a SHA-256. Each part counts with its length, so that no two
    different lists run together into one.
    """
    digest = hashlib.sha256()
    for part in (purpose, *parts):
        encoded = part.encode()
        digest.update(len(encoded).to_bytes(8, "big"))
        digest.update(encoded)
    bits = int.from_bytes(digest.digest()[:16], "big")
    bits = bits & ~(0xF << 76) | (0x8 << 76)  # the version
    bits = bits & ~(0x3 << 62) | (0x2 << 62)  # the variant
    return f"2.25.{uuid.UUID(int=bits).int}"


def document_uid(
    study_instance_uid: str, revision: int, model_digest: str, kind: str, sop_instance_uids: Iterable[str]
) -> str:
    """Return the UID of one form of the draft of these instances; their order does not matter."""
    inputs = sorted(sop_instance_uids)
    return derived_uid("document", [study_instance_uid, str(revision), model_digest, kind, *inputs])
