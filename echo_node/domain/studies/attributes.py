"""Attributes of an image that documents about its study repeat: patient, study, requests.

They are plain data, so that a draft carries them, and a form can be made after the image's file is
gone. Their values are text that was decoded once, whatever character set the image uses.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta, timezone, tzinfo
from typing import TypeAlias

_LARGEST_OFFSET_MINUTES = 14 * 60


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute of a data set.

    Attributes:
        keyword: its DICOM keyword (PS3.6).
        vr: its value representation (PS3.5 6.2), a textual one or `SQ`.
        values: its values; empty for an empty attribute and for a sequence.
        items: the items of a sequence.
    """

    keyword: str
    vr: str
    values: tuple[str, ...] = field(default=(), repr=False)
    items: tuple[AttributeItem, ...] = field(default=(), repr=False)


AttributeItem: TypeAlias = tuple[Attribute, ...]
"""Attributes of one data set, or of one item of a sequence."""


def text_of(item: Iterable[Attribute], keyword: str) -> str:
    """Return the values of an attribute, joined by backslashes; empty if it is absent or empty."""
    found = (each.values for each in item if each.keyword == keyword)
    return "\\".join(value.strip(" \0") for value in next(found, ()))


@dataclass(frozen=True, slots=True)
class StudyAttributes:
    """Attributes that documents take over from the header of an image: patient data.

    Attributes:
        patient_and_study: attributes of the patient, the study and the time zone.
        requests: one item for each request that the image was made for.
        ignored: DICOM keywords of attributes whose value was ignored or shortened, since it is not
            valid or not certain.
    """

    patient_and_study: AttributeItem = field(default=(), repr=False)
    requests: tuple[AttributeItem, ...] = field(default=(), repr=False)
    ignored: tuple[str, ...] = ()

    def text(self, keyword: str) -> str:
        """Return an attribute of the patient or the study as text; empty if it is absent."""
        return text_of(self.patient_and_study, keyword)

    @property
    def zone(self) -> tzinfo | None:
        """Time zone of the image's dates and times, and so of a document's; None if not stated."""
        match = re.fullmatch(r"([+-])(\d{2})(\d{2})", self.text("TimezoneOffsetFromUTC"))
        if match is None:
            return None
        minutes = int(match[2]) * 60 + int(match[3])
        if minutes > _LARGEST_OFFSET_MINUTES:
            return None
        return timezone(timedelta(minutes=-minutes if match[1] == "-" else minutes))


NOT_READ = StudyAttributes()
"""Attributes of an image whose header was not read. A header that was read always gives some."""
