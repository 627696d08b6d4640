"""What a reader finds and what the format keeps: an image with its report."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

SPLITS = ("train", "validation", "test")

_CJK = re.compile(r"[\u4e00-\u9fff]")


@dataclass(frozen=True, slots=True)
class Candidate:
    """An image with its report as a source has it.

    Attributes:
        key: names it within its source, the same in every run and without patient data (`row 17`).
        image: a DICOM file or a picture.
        patient: the source's name for the patient; never stored as it is.
        study: the source's name for the study; likewise.
        findings: that section, empty if the report lacks it.
        impression: likewise.
        view: as the source states it, such as `PA`; empty where it does not, a DICOM header then decides.
        split: the source's own, empty if it has none.
        header: technical attributes of the DICOM header as JSON, if they are to be kept.
        png: the image itself, where it has been prepared before; `image` is not read then.
    """

    key: str
    image: Path
    patient: str
    study: str
    findings: str
    impression: str
    view: str = ""
    split: str = ""
    header: str = ""
    png: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row that cannot be used: its key and why, without patient data."""

    key: str
    reason: str


Found: TypeAlias = Candidate | RejectedRow
Reader: TypeAlias = Callable[[Path], Iterator[Found]]


@dataclass(frozen=True, slots=True)
class Example:
    """One row of the format.

    Attributes:
        example_id: a digest of source and key; unique in a data set.
        patient_id: a pseudonym.
        study_id: a pseudonym.
        split: one of SPLITS.
        view: `PA`, `AP`, `frontal`, or `unknown` where nobody said.
        language: `en` or `zh`.
        findings: that section; may be empty if the impression is not.
        impression: likewise.
        labels: the classes that the text states.
        uncertain: the classes that it holds possible.
        source: the reader's name.
        header: technical attributes of the DICOM header as JSON; empty where there are none.
        wording: who worded the findings: `author`, `rules` or `endpoint`.
        image_hash: the perceptual hash, coarse and fine, 160 bytes.
        image: a PNG, 8-bit grey.
    """

    example_id: str
    patient_id: str
    study_id: str
    split: str
    view: str
    language: str
    findings: str
    impression: str
    source: str
    image_hash: bytes
    image: bytes = field(repr=False)
    labels: tuple[str, ...] = ()
    uncertain: tuple[str, ...] = ()
    header: str = ""
    wording: str = "author"

    @property
    def report(self) -> str:
        """The report as a model shall write it, on one line."""
        return report_text(self.findings, self.impression, self.language)


def example_id_of(source: str, key: str) -> str:
    """Return the identifier of a source's row, the same in every run."""
    return hashlib.sha256(f"{source}\0{key}".encode()).hexdigest()[:24]


def report_text(findings: str, impression: str, language: str = "en") -> str:
    """Return the sections under the headings that the node looks for in a draft; Chinese has no spaces."""
    is_chinese = language == "zh"
    headings = ("所见：", "结论：") if is_chinese else ("Findings: ", "Impression: ")  # noqa: RUF001
    sections = zip(headings, (findings, impression), strict=True)
    return ("" if is_chinese else " ").join(
        heading + " ".join(text.split()) for heading, text in sections if text.strip()
    )


def language_of(text: str) -> str:
    """Return `zh` for a text with Chinese characters, else `en`."""
    return "zh" if _CJK.search(text) else "en"
