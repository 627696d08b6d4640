"""Identifiers that come from outside, checked before anything is named by them."""

from __future__ import annotations

import re

_UID = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))+")
_AE_TITLE = re.compile(r"[\x20-\x5b\x5d-\x7e]{1,16}")


def is_valid_uid(value: str) -> bool:
    """Say whether *value* is a DICOM UID (PS3.5 section 9.1): at most 64 characters, dotted numbers."""
    return len(value) <= 64 and _UID.fullmatch(value) is not None


def checked_uid(value: str, keyword: str) -> str:
    """Return *value* if it is a UID.

    Args:
        value: what the peer sent; trailing NUL padding is not removed here.
        keyword: the DICOM keyword of the attribute, for the message.

    Raises:
        ValueError: it is not a UID. The message does not repeat the value.
    """
    if not is_valid_uid(value):
        raise ValueError(f"{keyword} is not a valid DICOM UID")
    return value


def checked_ae_title(value: str) -> str:
    """Return an AE title without its insignificant spaces (PS3.5 section 6.2, VR AE).

    Raises:
        ValueError: it is empty, longer than 16 characters, or has a backslash or a control character.
    """
    stripped = value.strip(" ")
    if _AE_TITLE.fullmatch(stripped) is None:
        raise ValueError("an AE title has 1 to 16 printable ASCII characters and no backslash")
    return stripped
