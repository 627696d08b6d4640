"""Rows of data sets: candidates found by readers, rejected rows, and stored examples."""

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
    """An image with its report, as found in a source.

    Attributes:
        key: identifier within the source, the same in every run, without patient data (`row 17`).
        image: path of a DICOM file or of an image in another format.
        patient: identifier of the patient in the source; never stored unchanged.
        study: identifier of the study in the source; never stored unchanged.
        findings: findings section; empty if the report has none.
        impression: impression section; empty if the report has none.
        view: view that the source states, such as `PA`; if empty, the DICOM header decides.
        split: split that the source states; empty if it states none.
        header: technical attributes of the DICOM header to keep, as JSON; may be empty.
        png: image that is already prepared; if present, `image` is not read.
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
    """An unusable row: its key and the reason, without patient data."""

    key: str
    reason: str


Found: TypeAlias = Candidate | RejectedRow
Reader: TypeAlias = Callable[[Path], Iterator[Found]]


@dataclass(frozen=True, slots=True)
class Example:
    """One row of a data set.

    Attributes:
        example_id: digest of source and key; unique in a data set.
        patient_id: pseudonym of the patient.
        study_id: pseudonym of the study.
        split: one of SPLITS.
        view: `PA`, `AP`, `frontal`, or `unknown` if neither source nor header states it.
        language: `en` or `zh`.
        findings: findings section; may be empty if there is an impression.
        impression: impression section; may be empty if there are findings.
        labels: classes that the text states.
        uncertain: classes that the text states as possible.
        source: name of the reader.
        header: technical attributes of the DICOM header, as JSON; may be empty.
        wording: origin of the wording of the findings: `author`, `rules` or `endpoint`.
        image_hash: perceptual hash, coarse and fine, 160 bytes.
        image: image as an 8-bit greyscale PNG.
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
        """Report in the form that a model must write it, on one line."""
        return report_text(self.findings, self.impression, self.language)


def example_id_of(source: str, key: str) -> str:
    """Return the identifier of a row of a source, the same in every run."""
    return hashlib.sha256(f"{source}\0{key}".encode()).hexdigest()[:24]


def report_text(findings: str, impression: str, language: str = "en") -> str:
    """Return the sections under the headings that the node looks for in a draft.

    Chinese has no spaces between sentences.
    """
    is_chinese = language == "zh"
    headings = ("所见：", "结论：") if is_chinese else ("Findings: ", "Impression: ")  # noqa: RUF001
    sections = zip(headings, (findings, impression), strict=True)
    return ("" if is_chinese else " ").join(
        heading + " ".join(text.split()) for heading, text in sections if text.strip()
    )


def language_of(text: str) -> str:
    """Return `zh` for a text with Chinese characters, otherwise `en`."""
    return "zh" if _CJK.search(text) else "en"
