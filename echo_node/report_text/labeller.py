"""Labeller: the status of CheXpert's 14 findings in an English report, by rules.

A sentence is split into clauses. The words of a finding in a clause are a mention, and a cue before
or after it in the same clause can negate or hedge it. There is no model: the labels are
deterministic and explainable, and good enough to compare two texts of one report. They do not
replace a learned labeller.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from echo_node.report_text.phrases import (
    FINDINGS,
    HARMLESS_NEGATIONS,
    HEDGES_AFTER,
    HEDGES_BEFORE,
    MENTIONS_OF_NO_FINDING,
    NEGATIONS_AFTER,
    NEGATIONS_BEFORE,
    NO_FINDING,
    OTHER_ABNORMALITIES,
    STRUCTURES,
    SUPPORT_DEVICES,
    UNCERTAIN_NEGATIONS,
)

Status: TypeAlias = Literal["positive", "negative", "uncertain"]

CLASSES: tuple[str, ...] = (NO_FINDING, *FINDINGS)
"""The 14 classes, `No Finding` first."""

_OTHER = "other abnormality"
_STRENGTH: dict[Status, int] = {"negative": 0, "uncertain": 1, "positive": 2}


def _words(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{pattern})(?!\w)")


_MENTIONS = {name: _words(pattern) for name, pattern in (*FINDINGS.items(), (_OTHER, OTHER_ABNORMALITIES))}
_UNCERTAIN_NEGATION = _words(UNCERTAIN_NEGATIONS)
_HARMLESS = _words(HARMLESS_NEGATIONS)
_NEGATION_BEFORE = _words(NEGATIONS_BEFORE)
_NEGATION_AFTER = re.compile(rf"(?:(?<!\w)|(?=:))(?:{NEGATIONS_AFTER})(?!\w)")
_HEDGE_BEFORE = _words(HEDGES_BEFORE)
_HEDGE_AFTER = _words(HEDGES_AFTER)
_NO_STATEMENT = _words(MENTIONS_OF_NO_FINDING)
_ABNORMAL_OR_NORMAL = {
    structure: (_words(structure.subject), re.compile(rf"(?<!\w)(?:(?P<abnormal>{structure.abnormal})"
                                                      rf"|(?P<normal>{structure.normal}))(?!\w)"))
    for structure in STRUCTURES
}  # fmt: skip

_SENTENCE_END = re.compile(
    r"(?<=[.!?])(?<!\bdr\.)(?<!\bvs\.)(?<!\s\d\.)\s+|\n\s*\n|\n\s*(?=[-*•]|\d+[.)])", re.IGNORECASE
)
_CONJUNCTION = re.compile(
    r";|(?<!\w)(?:but|however|although|though|except(?: for)?|other than|(?:apart|aside) from"
    r"|whereas|while|yet)(?!\w)"
)
_VERB = r"(?:is|are|was|were|has|have|remains?|appears?|persists?|demonstrates?|shows?)"
_OWN_VERB = re.compile(
    rf",\s+(?!(?:or|nor)\b)(?![^,]*\b(?:or|nor)\b[^,]*\b{_VERB}\b)(?:and\s+)?(?=[^,]*\b{_VERB}\b)"
    rf"|\s+and\s+(?=(?:there|the|an?|both)\b[^,]*\b{_VERB}\b)"
)
_SAYS_SOMETHING = re.compile(rf"\b(?:{_VERB}|no|without)\b")
_STATES_ANEW = re.compile(
    r"(?:,\s+(?:and\s+)?|\s(?:and|with)\s+)(?:there|the|an?|with|small|moderate|large|tiny|trace|mild|minimal|severe"
    r"|stable|unchanged|new|persistent|increas\w+|improv\w+|worsen\w+|residual|chronic|associated|bibasilar)\b"
)
_LIST_GOES_ON = re.compile(r",\s*(?:or|nor)\b")
_LETTER = re.compile(r"[^\W\d]")
_WINDOW = 8
"""Maximum number of words between a structure and the adjective that describes it."""


@dataclass(frozen=True, slots=True)
class _Mention:
    """The words of a finding in a clause; `denied` if these words themselves negate it."""

    finding: str
    start: int
    end: int
    denied: bool = False


def label(text: str) -> dict[str, Status | None]:
    """Return the status of each class in a report; None if the report does not mention it.

    Among several mentions, positive takes precedence over uncertain, and uncertain over negative.
    `No Finding` is positive if the text has no positive or uncertain finding except devices;
    otherwise it is None.
    """
    strongest: dict[str, Status] = {}
    for clause in clauses(text):
        for mention in _mentions(clause):
            status = _status(clause, mention)
            if status and _STRENGTH[status] >= _STRENGTH[strongest.get(mention.finding, "negative")]:
                strongest[mention.finding] = status
    abnormal = any(
        status != "negative" for finding, status in strongest.items() if finding != SUPPORT_DEVICES
    )
    labels: dict[str, Status | None] = {NO_FINDING: "positive" if text.strip() and not abnormal else None}
    labels.update({finding: strongest.get(finding) for finding in FINDINGS})
    return labels


def positives(text: str) -> frozenset[str]:
    """Return the findings that a report states or considers possible, without `No Finding`."""
    return frozenset(
        finding
        for finding, status in label(text).items()
        if finding != NO_FINDING and status in {"positive", "uncertain"}
    )


def is_abnormal(text: str) -> bool:
    """Return whether a text states or considers possible anything abnormal except devices."""
    return bool(text.strip()) and label(text)[NO_FINDING] is None


def sentences(text: str) -> list[str]:
    """Return the sentences of a report, with lines joined; each list item is a sentence."""
    return [" ".join(piece.split()) for piece in _SENTENCE_END.split(text) if _LETTER.search(piece)]


def clauses(text: str) -> Iterator[str]:
    """Yield the clauses of each sentence in lower case; a negation covers one clause."""
    for sentence in sentences(text):
        for part in _CONJUNCTION.split(sentence.casefold().rstrip(".!?")):
            yield from _with_own_verb(part.strip(" ,"))


def _with_own_verb(part: str) -> Iterator[str]:
    """Split `the heart is large, the lungs are clear` but not `no mass, nodule or cyst is seen`."""
    start = 0
    for cut in _OWN_VERB.finditer(part):
        if _SAYS_SOMETHING.search(part, start, cut.start()):
            yield part[start : cut.start()]
            start = cut.end()
    if part[start:]:
        yield part[start:]


def _mentions(clause: str) -> Iterator[_Mention]:
    for finding, pattern in _MENTIONS.items():
        for match in pattern.finditer(clause):
            yield _Mention(finding, match.start(), match.end())
    for structure, (subject, adjective) in _ABNORMAL_OR_NORMAL.items():
        for match in subject.finditer(clause):
            described = _described(clause, match, adjective)
            if described is not None:
                first, last = sorted((match.span(), described.span()))
                yield _Mention(structure.finding, first[0], last[1], described["normal"] is not None)


def _described(clause: str, subject: re.Match[str], adjective: re.Pattern[str]) -> re.Match[str] | None:
    """Return the adjective just before the structure, otherwise the first one after it."""
    before = None
    for match in adjective.finditer(clause, 0, subject.start()):
        before = match
    if (
        before
        and len(clause[before.end() : subject.start()].split()) <= 2
        and "," not in clause[before.end() : subject.start()]
    ):
        return before
    behind = adjective.search(clause, subject.end())
    if behind and len(clause[subject.end() : behind.start()].split()) <= _WINDOW:
        return behind
    return None


def _status(clause: str, mention: _Mention) -> Status | None:
    """Return the status of the mention in its clause; None if the clause is not about the image."""
    before, behind = clause[: mention.start], clause[mention.end :]
    if _NO_STATEMENT.search(before):
        return None
    if _UNCERTAIN_NEGATION.search(before) or _UNCERTAIN_NEGATION.search(behind):
        return "uncertain"
    if mention.denied:
        return "negative"
    inside = clause[mention.start : mention.end]
    if _negated_before(clause, mention) or _NEGATION_AFTER.search(behind) or _NEGATION_BEFORE.search(inside):
        return "negative"
    if _HEDGE_BEFORE.search(_same_statement(before) + inside) or _HEDGE_AFTER.search(
        behind.partition(",")[0]
    ):
        return "uncertain"
    return "positive"


def _negated_before(clause: str, mention: _Mention) -> bool:
    before = clause[: mention.start]
    harmless = [match.span() for match in _HARMLESS.finditer(before)]
    for cue in _NEGATION_BEFORE.finditer(before):
        if any(start <= cue.start() < end for start, end in harmless):
            continue
        anew = _STATES_ANEW.search(before, cue.end())
        if anew is None or _LIST_GOES_ON.search(clause, anew.end()):
            return True
    return False


def _same_statement(before: str) -> str:
    """Return the part of the clause that belongs to the same statement as the mention."""
    cuts = list(_STATES_ANEW.finditer(before))
    return before[cuts[-1].end() :] if cuts else before
