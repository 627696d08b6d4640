"""From rows to a data set: images prepared, patients split, repetitions and bad rows set aside.

A run that was interrupted goes on: rows that are on disk are passed over. A bad row is listed in
rejected.jsonl, with its key and the reason, and stops nothing.
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
    """How rows become examples.

    Attributes:
        name: of the data set, for people.
        source: of the reader.
        pseudonyms: what patients and studies are called.
        longest_side: pixels; longer images are made smaller. 0 keeps every image as it is.
        images_only: take images without a report too.
        notes: for the card.
        distinct: no image of the source is there twice, however alike they are: repetitions are not sought.
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
    """Write a data set of what a reader finds, or go on with one.

    Args:
        found: the reader's rows.
        out: the folder; made if need be.
        options: see there.
        advance: is told of each row.

    Raises:
        ConfigError: the folder was begun with another key.
        PermanentError: the source or the folder fails as a whole; the shards written so far are safe.
    """
    writer = Writer(out)
    _keep_to_one_key(writer, out / KEY_FILE, options.pseudonyms)
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


def _keep_to_one_key(writer: Writer, path: Path, pseudonyms: Pseudonyms) -> None:
    """Refuse to go on with another key: the same patient would get another name and another split.

    Raises:
        ConfigError: the folder was begun with another key.
    """
    if not path.exists():
        writer.write_beside(path.name, pseudonyms.fingerprint.encode())
    elif path.read_bytes() != pseudonyms.fingerprint.encode():
        raise ConfigError(
            f"{path.parent} was begun with another key: give the same --key-file, or another folder"
        )


def _example(
    row: Candidate, example_id: str, options: BuildOptions, splits: Splits, seen: SeenImages
) -> Example:
    """Return the example of a row, and remember its image.

    Raises:
        PermanentError: the row cannot be used; the message is the reason and holds no patient data.
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
