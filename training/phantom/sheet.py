"""Contact sheets: a grid of cases with what each of them shows written underneath."""

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
_LOOKED_AT = 100_000


@dataclass(frozen=True, slots=True)
class SheetCase:
    """One picture of a sheet: case `index` of its seed's data set in a view."""

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
    """Yield the first `count` cases of a seed that show every one of `kinds`, in a view.

    A PA or AP view takes cases of that posture only; a lateral one takes PA cases. Fewer come out if so few
    are among the first 100,000 cases.
    """
    posture = "PA" if view == "LATERAL" else view
    found = 0
    for index in range(_LOOKED_AT):
        if found == count:
            return
        rng = case_generators(seed, index)
        findings = sample_findings(rng.findings)
        shown = labels(findings)
        if posture not in (None, findings.patient.view) or not all(shown[kind] for kind in kinds):
            continue
        found += 1
        chosen = view or findings.patient.view
        report = write_report(findings, rng.report, language)
        yield SheetCase(index, chosen, findings, report, render(findings, rng.image, size, chosen))


def caption(findings: Findings) -> list[str]:
    """Return a line for each abnormality, such as `effusion, right, small`."""
    return [_words(finding) for finding in findings.found()] or ["normal"]


def draw_sheet(pictures: Sequence[SheetCase], columns: int) -> Image.Image:
    """Return a grey-scale sheet of pictures in rows of `columns`, a caption under each.

    Raises:
        ValueError: there is no picture.
    """
    if not pictures:
        message = "a contact sheet needs at least one picture"
        raise ValueError(message)
    size = len(pictures[0].image)
    font = ImageFont.load_default(max(10, size // 20))
    line = int(font.getbbox("Ag")[3]) + 2
    height = size + _LINES * line + 2 * _MARGIN
    sheet = Image.new("L", (columns * size, ceil(len(pictures) / columns) * height), 0)
    pen = ImageDraw.Draw(sheet)
    for place, picture in enumerate(pictures):
        left, top = place % columns * size, place // columns * height
        sheet.paste(Image.fromarray(picture.image), (left, top))
        patient = picture.findings.patient
        lines = [f"{picture.view} {patient.sex} {patient.age}", *caption(picture.findings)]
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
    """Put parts into lines of a width, several in one line where they fit."""
    lines: list[str] = []
    for part in parts:
        joined = f"{lines[-1]}; {part}" if lines else part
        if lines and font.getlength(joined) <= width:
            lines[-1] = joined
        else:
            lines.append(part)
    return lines
