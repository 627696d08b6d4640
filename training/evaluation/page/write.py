"""Writing of evaluation pages: report.md with its plots and images, and a single report.html."""

from __future__ import annotations

import math
import re
from base64 import b64encode
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from echo_node import plotting
from echo_node.errors import ConfigError
from echo_node.report_text.garble import KINDS
from training.evaluation.cases import MarkedSentence
from training.evaluation.drafting import PreparedImage
from training.evaluation.evaluate import Evaluation, Row
from training.evaluation.metrics.bootstrap import Interval
from training.evaluation.page.plots import plain, plots

_EXAMPLES = 6
_SHOWN = ("one_step", "adaptive_repair")
_MAIN = {
    "coherent_sentences": "coherent sentences",
    "facts": "facts right",
    "contradictions": "contradictions per draft",
    "f1_micro": "F1 micro",
    "f1_macro": "F1 macro",
    "garbled": "garbled drafts",
    "garble_per_100_words": "faults per 100 words",
    "tokens_per_forward": "tokens per forward pass",
    "ended": "ended with an end token",
    "seconds": "seconds per draft",
    "words": "words per draft",
}
_NOT_METRICS = ("decoder", "findings", "garble")
_NORMALISED = "_normalised"
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+!|~-])")


@dataclass(frozen=True, slots=True)
class Table:
    """Table of metrics, with one row for each decoder or control."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class ExampleStudy:
    """One study of the page.

    Attributes:
        number: number of the case, from 1.
        png: image as PNG.
        reference: reference report.
        drafts: drafts as (decoder, sentences with verdicts).
    """

    number: int
    png: bytes
    reference: str
    drafts: tuple[tuple[str, tuple[MarkedSentence, ...]], ...]

    @property
    def data_url(self) -> str:
        """Image as a data URL."""
        return f"data:image/png;base64,{b64encode(self.png).decode()}"


def prepare_folder(folder: Path) -> None:
    """Create the folder of a page, before the evaluation starts.

    Raises:
        ConfigError: the folder cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = type(error).__name__
        raise ConfigError(f"--report {folder}: the folder cannot be created ({reason})") from error


def write_report(evaluation: Evaluation, folder: Path, date: str) -> None:
    """Write report.md and report.html, the plots as SVG, and the images of the examples as PNG.

    Args:
        evaluation: evaluation to describe.
        folder: folder of the page; existing files of the same names are replaced.
        date: date of the evaluation, as text.
    """
    drawn, left_out = _plots(evaluation)
    examples = _examples(evaluation)
    context = {
        "evaluation": evaluation,
        "date": date,
        "count": len(evaluation.cases.references),
        "main": _table(evaluation.rows, tuple(_MAIN)),
        "raw": _table(evaluation.rows, _reference_columns(evaluation.rows, normalised=False)),
        "normalised": _table(evaluation.rows, _reference_columns(evaluation.rows, normalised=True)),
        "plots": {name: (caption, Markup(svg)) for name, (caption, svg) in drawn.items()},  # noqa: S704 - ours
        "left_out": left_out,
        "examples": examples,
        "kinds": KINDS,
        "shown": [result for result in evaluation.results if result.name in _SHOWN],
    }
    for name, (_, svg) in drawn.items():
        (folder / f"{name}.svg").write_text(svg + "\n", encoding="utf-8")
    for example in examples:
        (folder / f"case-{example.number}.png").write_bytes(example.png)
    loader = PackageLoader("training.evaluation.page", "templates")
    for name, escaped in (("report.md", False), ("report.html", True)):
        environment = Environment(
            loader=loader,
            autoescape=escaped,  # noqa: S701 - Markdown is escaped by the filter `md`
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters |= {"md": escape_markdown, "interval": _interval_text, "plain": plain}
        page = environment.get_template(f"{name}.jinja").render(context)
        (folder / name).write_text(page + "\n", encoding="utf-8")


def escape_markdown(text: str) -> str:
    """Return text on one line, escaped for Markdown."""
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split())).replace("&", "&amp;")


def _plots(evaluation: Evaluation) -> tuple[dict[str, tuple[str, str]], tuple[str, ...]]:
    """Return the plots, and a line for everything that the page leaves out."""
    if plotting.is_installed():
        return plots(evaluation), evaluation.left_out
    return {}, (*evaluation.left_out, f"The plots are left out: {plotting.HOW_TO_INSTALL}")


def _reference_columns(rows: list[Row], *, normalised: bool) -> tuple[str, ...]:
    """Return the names of the metrics against one wording of the references."""
    names = dict.fromkeys(name for row in rows for name in row)
    return tuple(
        name
        for name in names
        if name not in _MAIN and name not in _NOT_METRICS and name.endswith(_NORMALISED) == normalised
    )


def _table(rows: list[Row], columns: tuple[str, ...]) -> Table | None:
    """Return a table of the columns in which any row has a value; None if none has."""
    filled = tuple(name for name in columns if any(row.get(name) is not None for row in rows))
    if not filled:
        return None
    heads = tuple(_MAIN.get(name, plain(name.removesuffix(_NORMALISED))) for name in filled)
    texts = ((plain(str(row["decoder"])), *(_number(name, row.get(name)) for name in filled)) for row in rows)
    return Table(("decoder", *heads), tuple(texts))


def _number(name: str, value: object) -> str:
    if not isinstance(value, float):
        return "–"  # noqa: RUF001 - a dash: no value
    return f"{value:.1f}" if name == "words" else f"{value:.3f}"


def _interval_text(interval: Interval) -> str:
    if math.isnan(interval.point):
        return "–"  # noqa: RUF001 - a dash: no value
    return f"{interval.point:.2f} ({interval.low:.2f} to {interval.high:.2f})"


def _examples(evaluation: Evaluation) -> list[ExampleStudy]:
    """Return the first studies of the set, without any selection."""
    cases = evaluation.cases
    shown = [result for result in evaluation.results if result.name in _SHOWN]
    return [
        ExampleStudy(
            number=index + 1,
            png=_png(cases.images[index]),
            reference=cases.references[index],
            drafts=tuple(
                (result.name, tuple(cases.mark(index, result.measured.texts[index]))) for result in shown
            ),
        )
        for index in range(min(_EXAMPLES, len(cases.references)))
    ]


def _png(image: PreparedImage) -> bytes:
    buffer = BytesIO()
    Image.fromarray(image).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
