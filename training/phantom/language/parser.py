"""Parser of phantom reports: coherence and statements of sentences, and scores of drafts.

A sentence is coherent if the grammar can produce exactly this sentence in its section. A garbled,
repeated or missing word or a wrong verb makes it incoherent. Every text is accepted: no function
here raises because of a bad draft.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import product
from types import MappingProxyType
from typing import TypeAlias

from training.phantom.findings import CLASSES, FACTS, REGIONS, Findings, Kind, kind_of
from training.phantom.language.grammar import BOOKS, fill_frame
from training.phantom.language.phrasebook import Language, Statement, statements

Statements: TypeAlias = tuple[Statement, ...]

REST = "rest"
"""Value that a sentence such as "The lungs are otherwise clear." gives to its region."""

_SENTENCE_ENDS: Mapping[Language, re.Pattern[str]] = MappingProxyType(
    {"en": re.compile(r"(?<=\.)\s+"), "zh": re.compile("(?<=\u3002)")}
)


@dataclass(frozen=True, slots=True)
class ParsedSentence:
    """A sentence with its statements; a normal impression is coherent and states nothing."""

    text: str
    coherent: bool
    statements: Statements = ()


@dataclass(frozen=True, slots=True)
class ParsedReport:
    """Sentences of each section; `outside` contains those of no section, which are incoherent."""

    language: Language
    outside: tuple[ParsedSentence, ...]
    findings: tuple[ParsedSentence, ...]
    impression: tuple[ParsedSentence, ...]

    @property
    def sentences(self) -> tuple[ParsedSentence, ...]:
        """All sentences in reading order."""
        return self.outside + self.findings + self.impression

    def facts(self) -> dict[str, str]:
        """Return the values that the findings section states, by fact; open facts are left out.

        A sentence about the rest of a region makes its open facts normal. A fact with two different
        values is open.
        """
        stated: dict[str, set[str]] = {}
        rests = set()
        for fact, value in (each for sentence in self.findings for each in sentence.statements):
            if value == REST:
                rests.add(fact)
            else:
                stated.setdefault(fact, set()).add(value)
        for region in rests:
            for fact in REGIONS[region]:
                stated.setdefault(fact, {FACTS[fact][0]})
        return {fact: next(iter(stated[fact])) for fact in FACTS if len(stated.get(fact, ())) == 1}

    def labels(self) -> dict[Kind, bool]:
        """Return whether the findings section states each class of finding."""
        shown = {kind_of(fact) for fact, value in self.facts().items() if value != FACTS[fact][0]}
        return {kind: kind in shown for kind in CLASSES}


@dataclass(frozen=True, slots=True)
class ReportScore:
    """Counts for one draft, which can be summed over drafts.

    Precision is named_rightly / named; recall is named_rightly / present.

    Attributes:
        sentences: sentences of the draft.
        coherent: coherent sentences.
        facts: facts of the world.
        facts_right: facts whose true value the findings section states.
        named: abnormal facts that the findings section states.
        named_rightly: abnormal facts that the findings section states with their true value.
        present: abnormal facts of the truth.
        contradictions: statements of the impression that the findings of the same draft do not
            make.
    """

    sentences: int
    coherent: int
    facts: int
    facts_right: int
    named: int
    named_rightly: int
    present: int
    contradictions: int


def parse_report(text: str) -> ParsedReport:
    """Split any text into sections and sentences, by the headings of its language, and parse it."""
    whole = " ".join(text.split())
    language: Language = "zh" if any(header in whole for header in _headers("zh")) else "en"
    findings_header, impression_header = _headers(language)
    outside, found, body = whole.partition(findings_header)
    if not found:  # text before the impression is in no section
        outside, _, impression = outside.partition(impression_header)
        findings = ""
    else:
        findings, _, impression = body.partition(impression_header)
    return ParsedReport(
        language,
        tuple(ParsedSentence(sentence, coherent=False) for sentence in _split(outside, language)),
        tuple(_read(sentence, read_finding(sentence, language)) for sentence in _split(findings, language)),
        tuple(
            _read(sentence, read_impression(sentence, language)) for sentence in _split(impression, language)
        ),
    )


def read_finding(sentence: str, language: Language) -> Statements | None:
    """Return the statements of a sentence of the findings, or None if it is incoherent."""
    return finding_sentences(language).get(sentence)


def read_impression(sentence: str, language: Language) -> Statements | None:
    """Return the statements of a sentence of the impression, or None if it is incoherent."""
    return impression_sentences(language).get(sentence)


def score(text: str, truth: Findings) -> ReportScore:
    """Score a draft against the true findings."""
    report = parse_report(text)
    facts = report.facts()
    abnormal = {fact: value for fact, value in facts.items() if value != FACTS[fact][0]}
    claimed = {each for sentence in report.impression for each in sentence.statements}
    return ReportScore(
        sentences=len(report.sentences),
        coherent=sum(sentence.coherent for sentence in report.sentences),
        facts=len(FACTS),
        facts_right=sum(facts.get(fact) == truth.value(fact) for fact in FACTS),
        named=len(abnormal),
        named_rightly=sum(truth.value(fact) == value for fact, value in abnormal.items()),
        present=len(truth.abnormal),
        contradictions=sum(facts.get(fact) != value for fact, value in claimed),
    )


def is_true_finding(sentence: str, truth: Findings, language: Language) -> bool:
    """Return whether a sentence of the findings section is coherent and true.

    A sentence about the rest of a region is true if the region has an abnormality, which leaves a
    rest.
    """
    stated = read_finding(sentence, language)
    return stated is not None and all(_is_true(fact, value, truth) for fact, value in stated)


def is_true_impression(sentence: str, truth: Findings, language: Language) -> bool:
    """Return whether a sentence of the impression is coherent and true.

    A normal sentence is true if there is nothing that an impression would name.
    """
    if sentence in BOOKS[language].normal_impressions:
        devices = REGIONS["devices"]
        return all(fact in devices for fact in truth.abnormal) and not any(
            finding.malposition for finding in truth.found()
        )
    stated = read_impression(sentence, language)
    return stated is not None and all(_is_true(fact, value, truth) for fact, value in stated)


@cache
def finding_sentences(language: Language) -> Mapping[str, Statements]:
    """Return every sentence of the findings section with its statements."""
    book = BOOKS[language]
    read: dict[str, Statements] = {}
    for region, sentences in book.normal.items():
        read.update(dict.fromkeys(sentences, tuple((fact, FACTS[fact][0]) for fact in REGIONS[region])))
    for region, sentences in book.rest.items():
        read.update(dict.fromkeys(sentences, ((region, REST),)))
    for topic, wordings in book.topics.items():
        for values, sentences in wordings.items():
            read.update(dict.fromkeys(sentences, statements(topic, values)))
    return MappingProxyType(read)


@cache
def impression_sentences(language: Language) -> Mapping[str, Statements]:
    """Return every sentence of the impression with its statements; normal ones have none."""
    book = BOOKS[language]
    read: dict[str, Statements] = dict.fromkeys(book.normal_impressions, ())
    for alarm, sentences in book.alarms.items():
        read.update(dict.fromkeys(sentences, (alarm,)))
    named = [(phrases, statements(topic, values)) for (topic, values), phrases in book.phrases.items()]
    named += [
        (phrases, statements(one, its) + statements(other, others))
        for (one, its, other, others), phrases in book.merged.items()
    ]
    for (phrases, stated), frame in product(named, book.frames):
        read.update(dict.fromkeys((fill_frame(frame, phrase) for phrase in phrases), stated))
    return MappingProxyType(read)


def _is_true(fact: str, value: str, truth: Findings) -> bool:
    if value == REST:
        return any(not truth.is_normal(each) for each in REGIONS[fact])
    return truth.value(fact) == value


def _headers(language: Language) -> tuple[str, str]:
    return BOOKS[language].findings_header, BOOKS[language].impression_header


def _split(section: str, language: Language) -> list[str]:
    parts = (part.strip() for part in _SENTENCE_ENDS[language].split(section.strip()))
    return [part for part in parts if part]


def _read(sentence: str, stated: Statements | None) -> ParsedSentence:
    return ParsedSentence(sentence, stated is not None, stated or ())
