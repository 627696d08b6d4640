"""Identifiers: UIDs from outside, which are checked before use, and our own, which are digests."""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Iterable

LONGEST_UID = 64
"""Maximum length of a UID (PS3.5 9.1)."""
LONGEST_USABLE_UID = 128
"""Maximum length of a UID that the node can store."""

_UID = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))+")
_USABLE = re.compile(r"[0-9][0-9.]*")


def is_valid_uid(value: str) -> bool:
    """Return whether *value* is a DICOM UID (PS3.5 9.1): dotted numbers, at most 64 characters."""
    return len(value) <= LONGEST_UID and _UID.fullmatch(value) is not None


def is_usable_uid(value: str) -> bool:
    """Return whether *value* can serve as a UID, even if the Standard does not allow it.

    Modalities send UIDs with leading zeros, longer ones than 64 characters, and ones that end in a
    dot because a program cut them off. Archives take them as they are, and so does the node, for
    its documents must refer to the images. Other characters than digits and dots are no UID.
    """
    return len(value) <= LONGEST_USABLE_UID and _USABLE.fullmatch(value) is not None


def uid_fault(value: str) -> str:
    """Return the fault of *value* as a DICOM UID, without the value; empty if it has none."""
    if is_valid_uid(value):
        return ""
    if not value:
        return "is absent"
    if len(value) > LONGEST_USABLE_UID:
        return f"is longer than {LONGEST_USABLE_UID} characters"
    if not is_usable_uid(value):
        return "begins with a dot" if value.startswith(".") else "has characters besides digits and dots"
    if len(value) > LONGEST_UID:
        return f"is longer than {LONGEST_UID} characters"
    if "" in value.split("."):
        return "has an empty component"
    return "has a leading zero" if "." in value else "has one component only"


def checked_uid(value: str, keyword: str, *, strict: bool) -> str:
    """Return *value* if it is a UID.

    Args:
        value: value that the peer sent, without trailing NUL padding.
        keyword: DICOM keyword of the attribute, for the message.
        strict: whether the UID must obey the Standard.

    Raises:
        ValueError: it is absent, or not a UID. The message does not repeat the value.
    """
    if not (is_valid_uid(value) if strict else is_usable_uid(value)):
        raise ValueError(f"{keyword} {uid_fault(value)}")
    return value


def derived_uid(purpose: str, parts: Iterable[str]) -> str:
    """Return a UID that is a digest of *purpose* and *parts* in their order.

    The form is that of PS3.5 B.2: 2.25 and a UUID as one decimal number. The UUID is of version 8
    (RFC 9562): the first 128 bits of a SHA-256. The digest includes the length of each part, so
    that different lists of parts give different UIDs.
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
    """Return the UID of a form of the draft of these instances, in any order."""
    inputs = sorted(sop_instance_uids)
    return derived_uid("document", [study_instance_uid, str(revision), model_digest, kind, *inputs])
