"""Contact sheets: a grid of cases, with the findings of each below its image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from training.phantom.dataset import case_generators
from training.phantom.findings import Finding, Findings, Kind, View, labels
from training.phantom.language.grammar import PhantomReport, write_report
from training.phantom.language.phrasebook import Language
from training.phantom.prevalence import sample_findings
from training.phantom.rendering.radiograph import render

_LINES = 5
_MARGIN = 3
_CASES_SEARCHED = 100_000


@dataclass(frozen=True, slots=True)
class SheetCase:
    """One image of a sheet: a view of case `index` of the set of a seed."""

    index: int
    view: View
    findings: Findings
    report: PhantomReport
    image: NDArray[np.uint8]


def cases(
    count: int,
    seed: int,
    size: int,
    *,
    view: View | None = None,
    kinds: Sequence[Kind] = (),
    language: Language = "en",
) -> Iterator[SheetCase]:
    """Yield the first cases of a seed that show all of `kinds`, in one view.

    Args:
        count: number of cases; fewer are found if the first 100,000 cases contain fewer.
        seed: seed of the set.
        size: side of the images, in pixels.
        view: view to show; PA and AP select cases with that view, LATERAL selects PA cases.
        kinds: classes of findings that each case must show.
        language: language of the reports.
    """
    posture = "PA" if view == "LATERAL" else view
    yielded = 0
    for index in range(_CASES_SEARCHED):
        if yielded == count:
            return
        rng = case_generators(seed, index)
        findings = sample_findings(rng.findings)
        shown = labels(findings)
        if posture not in (None, findings.patient.view) or not all(shown[kind] for kind in kinds):
            continue
        yielded += 1
        chosen = view or findings.patient.view
        report = write_report(findings, rng.report, language)
        yield SheetCase(index, chosen, findings, report, render(findings, rng.image, size, chosen))


def caption(findings: Findings) -> list[str]:
    """Return one line for each abnormality, such as `effusion, right, small`."""
    return [_words(finding) for finding in findings.found()] or ["normal"]


def draw_sheet(shown: Sequence[SheetCase], columns: int) -> Image.Image:
    """Return a greyscale sheet of cases in rows of `columns`, with a caption below each.

    Raises:
        ValueError: there are no cases.
    """
    if not shown:
        message = "a contact sheet needs at least one case"
        raise ValueError(message)
    size = len(shown[0].image)
    font = ImageFont.load_default(max(10, size // 20))
    line = int(font.getbbox("Ag")[3]) + 2
    height = size + _LINES * line + 2 * _MARGIN
    sheet = Image.new("L", (columns * size, ceil(len(shown) / columns) * height), 0)
    pen = ImageDraw.Draw(sheet)
    for place, case in enumerate(shown):
        left, top = place % columns * size, place // columns * height
        sheet.paste(Image.fromarray(case.image), (left, top))
        patient = case.findings.patient
        lines = [f"{case.view} {patient.sex} {patient.age}", *caption(case.findings)]
        for row, text in enumerate(_fit(lines, font, size - 2 * _MARGIN)[:_LINES]):
            pen.text((left + _MARGIN, top + size + _MARGIN + row * line), text, fill=235, font=font)
    return sheet


def _words(finding: Finding) -> str:
    parts = [
        finding.size if finding.kind == "nodule" else finding.kind,
        finding.side,
        finding.place,
        "" if finding.kind == "nodule" else finding.size,
        "malplaced" if finding.malposition else "",
    ]
    return ", ".join(part.replace("_", " ") for part in parts if part)


def _fit(parts: Sequence[str], font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> list[str]:
    """Arrange parts in lines of at most *width* pixels, several in one line if they fit."""
    lines: list[str] = []
    for part in parts:
        joined = f"{lines[-1]}; {part}" if lines else part
        if lines and font.getlength(joined) <= width:
            lines[-1] = joined
        else:
            lines.append(part)
    return lines
