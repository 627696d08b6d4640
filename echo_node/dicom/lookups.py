"""Look-ups of attributes that a header may state in several places: the first value counts.

An attribute that is present and empty is no answer: it never hides a value in a later place. This
table contains all such look-ups of a header, and its functions are the only ones that follow it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from pydicom.dataset import Dataset

from echo_node.dicom.header_values import day, has_value, items, text, time_of_day


class Origin(Enum):
    """Data set that contains an attribute."""

    HEADER = auto()
    REQUEST = auto()
    """The item of the request in question."""
    ONLY_REQUEST = auto()
    """The items of all requests, if those with a value have the same."""


@dataclass(frozen=True, slots=True)
class Place:
    """One place of a look-up."""

    origin: Origin
    keyword: str


_MOMENT = re.compile(r"\d{8,14}", re.ASCII)

REQUEST_SEQUENCES = ("RequestAttributesSequence", "ReferencedRequestSequence")
"""Sequences with an item for each request: the first that has an item with a value counts."""

OF_A_REQUEST: Mapping[str, tuple[Place, ...]] = {
    keyword: (Place(Origin.REQUEST, keyword), Place(Origin.HEADER, keyword))
    for keyword in (
        "AccessionNumber", "PlacerOrderNumberImagingServiceRequest", "FillerOrderNumberImagingServiceRequest",
        "RequestedProcedureID", "RequestedProcedureDescription", "RequestedProcedureCodeSequence",
    )
}  # fmt: skip
"""Attributes of a request, by keyword."""

OF_THE_STUDY: Mapping[str, tuple[Place, ...]] = {
    "AccessionNumber": (
        Place(Origin.HEADER, "AccessionNumber"),
        Place(Origin.ONLY_REQUEST, "AccessionNumber"),
    ),
}
"""Attributes of the study that its requests may state instead, by keyword."""

TAKEN_ON = ("AcquisitionDate", "ContentDate", "SeriesDate", "StudyDate")
"""Dates of an image, the nearest to its acquisition first; each has a time."""


def requests_in(header: Dataset) -> list[Dataset]:
    """Return the items of the requests that the image was made for; none if it states none."""
    for keyword in REQUEST_SEQUENCES:
        found = items(header, keyword)
        if any(has_value(item, each) for item in found for each in OF_A_REQUEST):
            return found
    return []


def place_of(places: tuple[Place, ...], header: Dataset, request: Dataset | None = None) -> Dataset | None:
    """Return the data set with the first value of a look-up; None if no place has one."""
    for place in places:
        for data_set in _data_sets(place, header, request):
            if has_value(data_set, place.keyword):
                return data_set
    return None


def taken_at(header: Dataset) -> str:
    """Return the date and time of an image as YYYYMMDDHHMMSS; empty without a valid date."""
    moment = _MOMENT.match(text(header, "AcquisitionDateTime"))
    if moment and day(header, "AcquisitionDateTime"):
        return moment[0].ljust(14, "0")
    for keyword in TAKEN_ON:
        if found := day(header, keyword):
            time = time_of_day(header, keyword.replace("Date", "Time")).partition(".")[0]
            return f"{found:%Y%m%d}{time.ljust(6, '0')}"
    return ""


def _data_sets(place: Place, header: Dataset, request: Dataset | None) -> list[Dataset]:
    if place.origin is Origin.HEADER:
        return [header]
    if place.origin is Origin.REQUEST:
        return [] if request is None else [request]
    stated = [each for each in requests_in(header) if has_value(each, place.keyword)]
    return stated[:1] if len({text(each, place.keyword) for each in stated}) == 1 else []
