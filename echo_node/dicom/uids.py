"""UIDs that the node makes: the same ones from the same things, so that a resend is the same object."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable

from echo_node import __version__

IMPLEMENTATION_CLASS_UID = "2.25.110085733775936036421750710280752912478"
"""Ours, for file meta information and association negotiation (PS3.7 D.3.3.2)."""

IMPLEMENTATION_VERSION_NAME = f"ECHO_NODE_{__version__}"[:16]
"""At most 16 characters (SH)."""


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
    """Return the SOP Instance UID of the draft of these instances; their order does not matter."""
    inputs = sorted(sop_instance_uids)
    return derived_uid("document", [study_instance_uid, str(revision), model_digest, kind, *inputs])


def series_uid(study_instance_uid: str, model_digest: str, kind: str) -> str:
    """Return the Series Instance UID that all revisions of one study's drafts share."""
    return derived_uid("series", [study_instance_uid, model_digest, kind])


def device_uid(model_digest: str) -> str:
    """Return the UID of the device observer: the program with this checkpoint."""
    return derived_uid("device", [model_digest])
