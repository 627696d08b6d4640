"""Data card of a data set: counts, lengths and sample images, for anyone who trains on it."""

from __future__ import annotations

import io
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from PIL import Image

from echo_node.durable_files import write_durably
from echo_node.errors import PermanentError
from echo_node.report_text.labeller import CLASSES
from training.datasets.example import SPLITS, Example
from training.datasets.images import as_pillow, decode_png
from training.datasets.shards import Dataset

CARD_FILE = "README.md"
SAMPLE_FILE = "pictures.png"

_COLUMNS, _ROWS, _SIDE = 6, 4, 160


def write_card(folder: Path) -> Path:
    """Write README.md and a sheet of sample images into the folder. Return the path of the card.

    Raises:
        ConfigError: the folder is not a data set, or the data set is unfinished.
        PermanentError: a shard is damaged, or the card cannot be written.
    """
    dataset = Dataset(folder)
    try:
        write_durably(folder / SAMPLE_FILE, [_sample(dataset)], temporary_folder=folder)
        write_durably(folder / CARD_FILE, [_card(dataset).encode()], temporary_folder=folder)
    except OSError as error:
        raise PermanentError(f"the card of {folder} cannot be written: {error.strerror}") from error
    return folder / CARD_FILE


def _card(dataset: Dataset) -> str:
    facts, rows = dataset.facts, dataset.rows
    size = sum((dataset.folder / shard.file).stat().st_size for shard in facts.shards)
    notes = "".join(f"\n{note}\n" for note in facts.notes)
    patients = len({row.patient_id for row in rows})
    shards = f"{len(facts.shards)} Parquet shards, {size / 2**20:.1f} MiB"
    return f"""# {facts.name}
{notes}
{len(rows)} frontal chest radiographs, {patients} patients, read as `{facts.source}`.
{shards}, schema version {facts.schema_version}. Splits are by patient.

![Sample images]({SAMPLE_FILE})

## Counts

{_by_split(rows, "view", lambda row: [row.view])}
{_by_split(rows, "language", lambda row: [row.language])}
{_by_split(rows, "sections", _sections)}
{_by_split(rows, "wording", lambda row: [row.wording])}
{_by_split(rows, "stated (rule labeller, English)", lambda row: row.labels, CLASSES)}
{_by_split(rows, "stated as possible", lambda row: row.uncertain, CLASSES)}
## Lengths in words

{_lengths(rows)}
## Rejected rows

{table(["reason", "rows"], [[reason, count] for reason, count in facts.rejected.items()]) or "Nothing."}
"""


def _sections(row: Example) -> list[str]:
    present = [name for name in ("findings", "impression") if getattr(row, name)]
    return [" and ".join(present) or "none"]


def _by_split(
    rows: Sequence[Example], title: str, of: Callable[[Example], Iterable[str]], order: Sequence[str] = ()
) -> str:
    counts = Counter((value, row.split) for row in rows for value in of(row))
    totals = Counter(value for row in rows for value in of(row))
    values = [value for value in order if value in totals] or [value for value, _ in totals.most_common()]
    cells = [[value, *(counts[value, split] for split in SPLITS), totals[value]] for value in values]
    return table([title, *SPLITS, "all"], cells)


def _lengths(rows: Sequence[Example]) -> str:
    cells: list[list[object]] = []
    for name in ("findings", "impression"):
        words = sorted(len(getattr(row, name).split()) for row in rows if getattr(row, name))
        if words:
            high = words[min(len(words) - 1, len(words) * 95 // 100)]
            cells.append([name, words[0], statistics.median(words), high, words[-1]])
    return table(["section", "least", "median", "95th percentile", "most"], cells)


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table in Markdown; empty if there are no rows."""
    if not rows:
        return ""
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join("| " + " | ".join(map(str, line)) + " |\n" for line in lines)


def _sample(dataset: Dataset) -> bytes:
    """Return a sheet of images taken at even intervals from the data set, as PNG."""
    count = min(len(dataset), _COLUMNS * _ROWS)
    sheet = Image.new("L", (_COLUMNS * _SIDE, max(1, -(-count // _COLUMNS)) * _SIDE))
    for place in range(count):
        image = as_pillow(decode_png(dataset.image(place * len(dataset) // count)))
        image.thumbnail((_SIDE, _SIDE))
        row, column = divmod(place, _COLUMNS)
        sheet.paste(image, (column * _SIDE, row * _SIDE))
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    return buffer.getvalue()
