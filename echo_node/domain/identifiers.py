"""Identifiers that come from outside, checked before anything is named by them."""

from __future__ import annotations

import re

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
