"""Normalisation of a data set: reports name every region, and no finding is lost or invented.

Incomplete reports teach a model to leave things out. Naming every region brings the largest gain in
quality that the ECHO paper reports for its data. The wording of an endpoint is used only if the
labeller finds the same findings in it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path

from echo_node.errors import ConfigError, PermanentError
from training.datasets.example import Example
from training.datasets.normalisation.endpoint import Endpoint
from training.datasets.normalisation.faithful import difference
from training.datasets.normalisation.rules import by_rules
from training.datasets.shards import Dataset, Facts, Writer

FALLBACKS_FILE = "fallbacks.jsonl"


def normalise(
    source: Path,
    out: Path,
    endpoint: Endpoint | None = None,
    concurrency: int = 8,
    advance: Callable[[int], None] | None = None,
) -> Facts:
    """Write the rows of a data set with normalised findings into another folder.

    If *out* is unfinished, the run continues it.

    Args:
        source: folder of a data set.
        out: another folder, created if missing.
        endpoint: model that words the findings; None uses rules only.
        concurrency: number of concurrent requests.
        advance: called with the number of finished rows.

    Returns:
        Facts of the new data set. `rejected` counts the rows that could not be worded as requested,
        by reason. Such rows are worded by rules or stay unchanged; none is dropped.

    Raises:
        ConfigError: the source is not a data set, *out* is the source, or the endpoint rejects
            requests.
        TransientError: the endpoint does not answer; written rows are safe, and a later run
            continues.
        PermanentError: a shard is damaged, or *out* cannot be written to.
    """
    if source.resolve() == out.resolve():
        raise ConfigError("the normalised data set needs a separate folder")
    dataset, writer = Dataset(source), Writer(out)
    known = {row.example_id for row in writer.existing()}
    fallbacks = _load(out / FALLBACKS_FILE, known)

    todo = [index for index, row in enumerate(dataset.rows) if row.example_id not in known]
    if advance is not None:
        advance(len(dataset) - len(todo))
    try:
        examples = (replace(dataset.rows[index], image=dataset.image(index)) for index in todo)
        for example, reason in _in_order(examples, partial(reworded, endpoint=endpoint), concurrency):
            if reason:
                fallbacks[example.example_id] = reason
            writer.add(example)
            if advance is not None:
                advance(1)
    finally:
        writer.flush()
        lines = "".join(json.dumps({"row": key, "reason": why}) + "\n" for key, why in fallbacks.items())
        writer.write_beside(FALLBACKS_FILE, lines.encode())
    counts = dict(Counter(fallbacks.values()).most_common())
    how = "by rules" if endpoint is None else "by a model at an endpoint, checked, and by rules"
    notes = (*dataset.facts.notes, f"Findings were normalised {how}.")
    return writer.finish(f"{dataset.facts.name}, normalised", dataset.facts.source, counts, notes)


def reworded(example: Example, endpoint: Endpoint | None) -> tuple[Example, str]:
    """Return the normalised example, and the reason if it is not worded as requested."""
    if example.language != "en":
        return example, "as written: the rules know English alone"
    if not example.findings:
        return example, "as written: the report has no findings"
    reason = ""
    if endpoint is not None:
        try:
            text = endpoint.rewrite(example.findings, example.impression)
        except PermanentError as error:
            reason = f"by rules: {error}"
        else:
            if not (lost := difference(example.findings, example.impression, text)):
                return replace(example, findings=by_rules(text, example.impression), wording="endpoint"), ""
            reason = f"by rules: the model's wording {lost.partition(':')[0]}"
    text = by_rules(example.findings, example.impression)
    if text == example.findings:
        return example, reason
    return replace(example, findings=text, wording="rules"), reason


def _in_order(
    examples: Iterator[Example], reword: Callable[[Example], tuple[Example, str]], concurrency: int
) -> Iterator[tuple[Example, str]]:
    """Yield results in the order of the examples, while several threads reword examples.

    Only the thread of the caller reads examples, because a shard has one reader.
    """
    with ThreadPoolExecutor(concurrency) as pool:
        while part := list(islice(examples, concurrency * 4)):
            yield from pool.map(reword, part)


def _load(path: Path, known: set[str]) -> dict[str, str]:
    """Return the reasons for fallbacks in the rows that an earlier run has written."""
    if not path.is_file():
        return {}
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {row["row"]: row["reason"] for row in rows if row["row"] in known}
