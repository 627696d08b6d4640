"""Data sets whose texts are given as bytes, which pydicom writes as they are."""

from __future__ import annotations

from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag


def put(data_set: Dataset, **values: bytes | None) -> Dataset:
    """Put encoded values into a data set, and remove the attributes that are None. Return it."""
    for keyword, value in values.items():
        tag = Tag(tag_for_keyword(keyword) or 0)
        if value is None:
            data_set.pop(tag, None)
        else:
            padded = value + b" " * (len(value) % 2)
            vr = dictionary_VR(tag)
            data_set[tag] = RawDataElement(tag, vr, len(padded), padded, 0, False, True, True)
    return data_set
