"""Building of data sets: prepare images, split patients, reject duplicates and unusable rows.

After an interruption, run the same command again: rows that are already on disk are skipped. An
unusable row does not stop the build; it is listed in rejected.jsonl with its key and the reason.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from echo_node.errors import ConfigError, PermanentError
from echo_node.report_text.labeller import label
from echo_node.report_text.phrases import NO_FINDING
from training.datasets.deidentification.pseudonyms import PUBLIC, Pseudonyms
from training.datasets.duplicates import SeenImages
from training.datasets.example import Candidate, Example, Found, RejectedRow, example_id_of, language_of
from training.datasets.images import decode_png, encode_png, frontal, image_hash, read_image
from training.datasets.shards import Facts, Writer, counted
from training.datasets.splits import Splits

REJECTED_FILE = "rejected.jsonl"
KEY_FILE = "key-fingerprint.txt"


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """Options of a build.

    Attributes:
        name: name of the data set, for people.
        source: name of the reader.
        pseudonyms: pseudonyms of patients and studies.
        longest_side: maximum side of an image, in pixels; larger images are reduced. 0 keeps their
            size.
        images_only: whether to accept images without a report.
        notes: text for the data card.
        distinct: whether all images of the source are known to differ; skips the search for
            duplicates.
    """

    name: str
    source: str
    pseudonyms: Pseudonyms = PUBLIC
    longest_side: int = 0
    images_only: bool = False
    notes: tuple[str, ...] = ()
    distinct: bool = False


def build(
    found: Iterable[Found],
    out: Path,
    options: BuildOptions,
    advance: Callable[[int], None] | None = None,
) -> Facts:
    """Write a data set from the rows of a reader, or continue an unfinished one.

    Args:
        found: rows from the reader.
        out: folder of the data set, created if missing.
        options: options of the build.
        advance: called with 1 for each row.

    Raises:
        ConfigError: the folder was started with another key.
        PermanentError: the source cannot be read at all, or the folder cannot be written to; the
            shards written so far are safe.
    """
    writer = Writer(out)
    _check_key(writer, out / KEY_FILE, options.pseudonyms)
    splits, seen, known = Splits(), SeenImages(), set[str]()
    for example in writer.existing():
        splits.remember(example.patient_id, example.split)
        seen.add(example.image_hash, example.split, example.report)
        known.add(example.example_id)
    rejected: list[RejectedRow] = []
    for row in found:
        if advance is not None:
            advance(1)
        if isinstance(row, RejectedRow):
            rejected.append(row)
            continue
        example_id = example_id_of(options.source, row.key)
        if example_id in known:
            continue
        try:
            example = _example(row, example_id, options, splits, seen)
        except PermanentError as error:
            rejected.append(RejectedRow(row.key, str(error)))
            continue
        known.add(example_id)
        writer.add(example)
    writer.flush()
    lines = "".join(json.dumps({"row": r.key, "reason": r.reason}) + "\n" for r in rejected)
    writer.write_beside(REJECTED_FILE, lines.encode())
    return writer.finish(options.name, options.source, counted(r.reason for r in rejected), options.notes)


def _check_key(writer: Writer, path: Path, pseudonyms: Pseudonyms) -> None:
    """Record the fingerprint of the key in a new folder, and compare it in an existing one.

    With another key, the same patient would get another pseudonym and another split.

    Raises:
        ConfigError: the folder was started with another key.
    """
    if not path.exists():
        writer.write_beside(path.name, pseudonyms.fingerprint.encode())
    elif path.read_bytes() != pseudonyms.fingerprint.encode():
        raise ConfigError(
            f"{path.parent} was started with another key: use the same --key-file, or another folder"
        )


def _example(
    row: Candidate, example_id: str, options: BuildOptions, splits: Splits, seen: SeenImages
) -> Example:
    """Return the example of a row, and remember its image.

    Raises:
        PermanentError: the row is unusable; the message is the reason and contains no patient data.
    """
    findings, impression = (" ".join(text.split()) for text in (row.findings, row.impression))
    if not findings and not impression and not options.images_only:
        raise PermanentError("the report has neither findings nor an impression")
    image, view = (decode_png(row.png), frontal(row.view)) if row.png else read_image(row.image, row.view)
    patient_id = options.pseudonyms.name("patient", row.patient)
    split = splits.split(patient_id, row.split)
    language = language_of(findings + impression)
    labels = label(f"{findings} {impression}") if language == "en" else {}
    example = Example(
        example_id=example_id,
        patient_id=patient_id,
        study_id=options.pseudonyms.name("study", row.study),
        split=split,
        view=view,
        language=language,
        findings=findings,
        impression=impression,
        source=options.source,
        header=row.header,
        image_hash=image_hash(image),
        image=row.png if row.png and not options.longest_side else encode_png(image, options.longest_side),
        labels=tuple(name for name, status in labels.items() if status == "positive"),
        uncertain=tuple(
            name for name, status in labels.items() if status == "uncertain" and name != NO_FINDING
        ),
    )
    if not options.distinct and (reason := seen.repeats(example.image_hash, split, example.report)):
        raise PermanentError(reason)
    seen.add(example.image_hash, split, example.report)
    return example
