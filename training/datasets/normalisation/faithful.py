"""Faithfulness of a rewritten report to the original, by labels and sides."""

from __future__ import annotations

import re

from echo_node.report_text.labeller import is_abnormal, label, sentences

_SIDES = {
    "left": re.compile(r"\bleft\b", re.IGNORECASE),
    "right": re.compile(r"\bright\b", re.IGNORECASE),
}
_BOTH = re.compile(r"\b(?:bilateral\w*|both|bibasilar|biapical)\b", re.IGNORECASE)


def difference(findings: str, impression: str, rewritten: str) -> str:
    """Return how rewritten findings differ from the report; empty if they are faithful.

    Two findings are equal if their status (positive or uncertain) and the sides named with them are
    equal. A finding that only the impression states may be added, but need not be.
    """
    known, known_in_all = _stated(findings), _stated(f"{findings} {impression}")
    now = _stated(rewritten)
    if lost := sorted({name for name, *_ in known} - {name for name, *_ in now}):
        return f"lost: {', '.join(lost)}"
    if invented := sorted({name for name, *_ in now} - {name for name, *_ in known_in_all}):
        return f"invented: {', '.join(invented)}"
    if changed := sorted(
        {name for name, *_ in known - now} | {name for name, *_ in now - known_in_all - known}
    ):
        return f"another certainty or side: {', '.join(changed)}"
    if is_abnormal(findings) and not is_abnormal(rewritten):
        return "lost: an abnormality of no class"
    if is_abnormal(rewritten) and not is_abnormal(f"{findings} {impression}"):
        return "invented: an abnormality of no class"
    return ""


def _stated(text: str) -> set[tuple[str, str, frozenset[str]]]:
    """Return each finding that a text does not deny, with its status and its sides."""
    labels = label(text)
    sides: dict[str, set[str]] = {}
    for sentence in sentences(text):
        for name, status in label(sentence).items():
            if status in {"positive", "uncertain"}:
                sides.setdefault(name, set()).update(_sides(sentence))
    return {
        (name, str(status), frozenset(sides.get(name, ())))
        for name, status in labels.items()
        if status in {"positive", "uncertain"} and name != "No Finding"
    }


def _sides(sentence: str) -> set[str]:
    if _BOTH.search(sentence):
        return set(_SIDES)
    return {side for side, pattern in _SIDES.items() if pattern.search(sentence)}
