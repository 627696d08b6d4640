r"""HL7 version 2 messages: segments of fields of components, with the escapes that text needs.

Source: HL7 2.5.1, chapter 2. Separators are the recommended | ^ & ~ \. Segments end in CR.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

FIELD, COMPONENT, REPETITION, ESCAPE, SUBCOMPONENT = "|", "^", "~", "\\", "&"
ENCODING_CHARACTERS = COMPONENT + REPETITION + ESCAPE + SUBCOMPONENT
SEGMENT_END = "\r"

_ESCAPES = {
    ESCAPE: "\\E\\",
    FIELD: "\\F\\",
    COMPONENT: "\\S\\",
    SUBCOMPONENT: "\\T\\",
    REPETITION: "\\R\\",
    "\n": "\\.br\\",
    "\r": "\\X0D\\",
}
_CONTROL = re.compile("[\x00-\x08\x0b-\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


def escaped(text: str) -> str:
    r"""Return *text* as a value: separators escaped, line breaks as `\.br\`, no control characters.

    Therefore it cannot contain the bytes that frame a message in MLLP (VT, FS, CR).
    """
    whole = _CONTROL.sub("", text.replace("\r\n", "\n"))
    return "".join(_ESCAPES.get(each, each) for each in whole)


def components(*values: str) -> str:
    """Return a field of escaped components, without empty ones at the end."""
    return COMPONENT.join(map(escaped, values)).rstrip(COMPONENT)


def segment(name: str, fields: dict[int, str]) -> str:
    """Return a segment of fields that are encoded already, by their numbers."""
    last = max(fields, default=0)
    return FIELD.join([name, *(fields.get(number, "") for number in range(1, last + 1))])


def message(segments: Sequence[str]) -> bytes:
    """Return the message in UTF-8."""
    return "".join(each + SEGMENT_END for each in segments).encode()


def parsed(content: bytes) -> list[tuple[str, dict[int, str]]]:
    """Return the segments of a message of ours: names, and fields as they are encoded, by number.

    Fields are counted as `segment` counts them: in MSH, the encoding characters are the first.

    Raises:
        UnicodeDecodeError: it is not in UTF-8.
    """
    lines = content.decode().split(SEGMENT_END)
    split = (line.split(FIELD) for line in lines if line)
    return [(name, dict(enumerate(fields, start=1))) for name, *fields in split]


def timestamp(moment: datetime) -> str:
    """Return a time as HL7 writes it (TS)."""
    return f"{moment:%Y%m%d%H%M%S%z}"
