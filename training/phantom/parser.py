"""Reads a phantom report back: which sentences are coherent, what they state, how much of it is true.

A sentence is coherent if the grammar can produce exactly it, in its section; anything else (a garbled,
repeated or missing word, a wrong verb) makes it incoherent. Any text is accepted: this module never raises on
a bad draft.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import TypeAlias

from training.phantom.findings import FACTS, Findings
from training.phantom.grammar import FINDINGS_HEADER, IMPRESSION_HEADER, write_impression
from training.phantom.phrasebook import (
    FINDINGS_SENTENCES,
    IMPRESSION_FRAMES,
    IMPRESSION_PHRASES,
    NORMAL_IMPRESSIONS,
    NounPhrase,
)

Statement: TypeAlias = tuple[str, str]
"""A fact and the value that a sentence gives it."""

_SENTENCE_END = re.compile(r"(?<=\.)\s+")


@dataclass(frozen=True, slots=True)
class ParsedSentence:
    """A sentence and what it states; the normal impression is coherent and states nothing."""

    text: str
    coherent: bool
    statements: tuple[Statement, ...] = ()


@dataclass(frozen=True, slots=True)
class ParsedReport:
    """The sentences of each section; `outside` holds those of no section, which are incoherent."""

    outside: tuple[ParsedSentence, ...]
    findings: tuple[ParsedSentence, ...]
    impression: tuple[ParsedSentence, ...]

    @property
    def sentences(self) -> tuple[ParsedSentence, ...]:
        """All sentences in reading order."""
        return self.outside + self.findings + self.impression


@dataclass(frozen=True, slots=True)
class ReportScore:
    """Counts for one draft; sums over drafts stay meaningful.

    `facts_right` counts the facts whose true value a coherent Findings sentence states, no other coherent
    Findings sentence giving another value. `contradictions` counts impression positives that the draft's own
    Findings section does not state.
    """

    sentences: int
    coherent: int
    facts: int
    facts_right: int
    contradictions: int


@cache
def findings_meanings() -> Mapping[str, Statement]:
    """Return every sentence of the Findings section with the one (fact, value) that it states."""
    return MappingProxyType(
        {
            sentence: (fact, value)
            for fact, values in FINDINGS_SENTENCES.items()
            for value, sentences in values.items()
            for sentence in sentences
        }
    )


def parse_report(text: str) -> ParsedReport:
    """Split any text into sections and sentences, and read each sentence."""
    outside, body = _cut(" ".join(text.split()), FINDINGS_HEADER)
    if body is None:  # no Findings header: whatever stands before the impression belongs to no section
        outside, impression = _cut(outside, IMPRESSION_HEADER)
        findings = ""
    else:
        findings, impression = _cut(body, IMPRESSION_HEADER)
    return ParsedReport(
        tuple(ParsedSentence(sentence, coherent=False) for sentence in _sentences(outside)),
        tuple(_read_finding(sentence) for sentence in _sentences(findings)),
        tuple(_read_impression(sentence) for sentence in _sentences(impression or "")),
    )


def score(text: str, truth: Findings) -> ReportScore:
    """Score a draft against the findings that its image was made from."""
    report = parse_report(text)
    stated = {statement for sentence in report.findings for statement in sentence.statements}
    claimed = {statement for sentence in report.impression for statement in sentence.statements}
    right = sum({value for fact, value in stated if fact == name} == {getattr(truth, name)} for name in FACTS)
    return ReportScore(
        sentences=len(report.sentences),
        coherent=sum(sentence.coherent for sentence in report.sentences),
        facts=len(FACTS),
        facts_right=right,
        contradictions=len(claimed - stated),
    )


def is_true_finding(sentence: str, truth: Findings) -> bool:
    """Return whether a sentence of the Findings section is coherent and states what is so."""
    return _states_only(_read_finding(sentence), truth)


def is_true_impression(sentence: str, truth: Findings) -> bool:
    """Return whether an impression is coherent and states what is so; a normal one, that nothing is found."""
    read = _read_impression(sentence)
    return _states_only(read, truth) and (bool(read.statements) or truth == Findings.normal())


def _states_only(read: ParsedSentence, truth: Findings) -> bool:
    return read.coherent and all(getattr(truth, fact) == value for fact, value in read.statements)


def _cut(text: str, header: str) -> tuple[str, str | None]:
    before, found, after = text.partition(header)
    return before, after if found else None


def _sentences(section: str) -> list[str]:
    return [sentence for sentence in _SENTENCE_END.split(section.strip()) if sentence]


def _read_finding(sentence: str) -> ParsedSentence:
    statement = findings_meanings().get(sentence)
    return ParsedSentence(sentence, statement is not None, () if statement is None else (statement,))


def _read_impression(sentence: str) -> ParsedSentence:
    if sentence in NORMAL_IMPRESSIONS:
        return ParsedSentence(sentence, coherent=True)
    for frame, pattern in _impression_patterns():
        match = pattern.fullmatch(sentence)
        if match is None:
            continue
        found = [_phrase_meanings().get(group[0].lower() + group[1:]) for group in match.groups()]
        known = [meaning for meaning in found if meaning is not None]
        statements = tuple(statement for _, statement in known)
        distinct = len({fact for fact, _ in statements}) == len(found)
        # Writing it again settles the capital letters and the verb's number.
        if distinct and write_impression(frame, [phrase for phrase, _ in known]) == sentence:
            return ParsedSentence(sentence, coherent=True, statements=statements)
    return ParsedSentence(sentence, coherent=False)


@cache
def _phrase_meanings() -> Mapping[str, tuple[NounPhrase, Statement]]:
    return MappingProxyType(
        {
            phrase.text: (phrase, (fact, value))
            for fact, values in IMPRESSION_PHRASES.items()
            for value, phrases in values.items()
            for phrase in phrases
        }
    )


@cache
def _impression_patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    frames = [frame for group in IMPRESSION_FRAMES.values() for frame in group]
    return tuple((frame, re.compile(_pattern(frame))) for frame in frames)


def _pattern(frame: str) -> str:
    escaped = re.escape(frame).replace(r"\{be\}", "(?:is|are)")
    return re.sub(r"\\\{\d\\\}", "(.+?)", escaped)
