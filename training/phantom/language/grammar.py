"""Grammar of phantom reports: regions in a fixed order, then the impression, in both languages.

A region without abnormality gets one sentence. Otherwise each abnormal topic gets a sentence, and a
last sentence calls the rest of the region normal. The impression has one sentence for each finding
that it names. The phrasing of each sentence is drawn independently, so that a decoder that writes a
sentence in one step must choose the same phrasing for all its words. `parser` reads the reports.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeVar

import numpy as np

from training.phantom.findings import MALPOSITIONS, REGIONS, Findings
from training.phantom.language.chinese import CHINESE
from training.phantom.language.english import ENGLISH
from training.phantom.language.phrasebook import (
    IMPORTANCE,
    MERGED,
    TOPICS,
    Language,
    NounPhrase,
    Phrasebook,
    Values,
    normal_values,
)

MAX_PHRASES = 3
"""Maximum number of sentences that name findings in an impression; others are left out."""

HABIT = 0.8
"""Probability of a phrasing, relative to the one before it in the book."""

BOOKS: Mapping[Language, Phrasebook] = MappingProxyType({"en": ENGLISH, "zh": CHINESE})
"""Phrases of each language."""

_Choice = TypeVar("_Choice")
_STATED_ALWAYS = ("effusion", "pneumothorax", "heart", "rib_fracture")
"""Topics that get a separate sentence even if they are normal."""


@dataclass(frozen=True, slots=True)
class PhantomReport:
    """Sections of a phantom report, without their headings."""

    findings_text: str
    impression_text: str
    language: Language = "en"

    @property
    def text(self) -> str:
        """Whole report on one line, with the headings of its language."""
        book = BOOKS[self.language]
        parts = (book.findings_header, self.findings_text, book.impression_header, self.impression_text)
        return book.joint.join(parts)


def write_report(findings: Findings, rng: np.random.Generator, language: Language = "en") -> PhantomReport:
    """Return a report that states every fact, in random phrasings."""
    book = BOOKS[language]
    sentences = [sentence for region in REGIONS for sentence in _region(region, findings, book, rng)]
    return PhantomReport(book.joint.join(sentences), _impression(findings, book, rng), language)


def values_of(topic: str, findings: Findings) -> Values:
    """Return the values of the facts of a topic."""
    return tuple(findings.value(fact) for fact in TOPICS[topic])


def is_normal(topic: str, findings: Findings) -> bool:
    """Return whether all facts of a topic are normal."""
    return values_of(topic, findings) == normal_values(topic)


def named_topics(findings: Findings, book: Phrasebook) -> tuple[tuple[str, ...], ...]:
    """Return the topics of each sentence of the impression, most important first.

    There are at most `MAX_PHRASES` sentences. Two topics that are merged share a sentence, at the
    position of the more important one.
    """
    left = [topic for topic in IMPORTANCE if not is_normal(topic, findings)]
    named: list[tuple[str, ...]] = []
    while left and len(named) < MAX_PHRASES:
        topic = left.pop(0)
        other = MERGED.get(topic, "")
        key = (topic, values_of(topic, findings), other, values_of(other, findings) if other else ())
        if other in left and key in book.merged:
            left.remove(other)
            named.append((topic, other))
        else:
            named.append((topic,))
    return tuple(named)


def fill_frame(frame: str, phrase: NounPhrase) -> str:
    """Return a frame filled with a phrase; the verb agrees, and the first letter is a capital."""
    sentence = frame.format(phrase.text, be="are" if phrase.plural else "is")
    return sentence[0].upper() + sentence[1:]


def _region(region: str, findings: Findings, book: Phrasebook, rng: np.random.Generator) -> list[str]:
    topics = [topic for topic, facts in TOPICS.items() if facts[0] in REGIONS[region]]
    if region in book.normal and all(is_normal(topic, findings) for topic in topics):
        return [_pick(book.normal[region], rng)]
    sentences = []
    for topic in topics:
        if topic in _STATED_ALWAYS or not is_normal(topic, findings):
            words = f"{topic}_AP" if topic == "heart" and findings.patient.view == "AP" else topic
            sentences.append(_pick(book.topics[words][values_of(topic, findings)], rng))
    if region in book.rest:
        sentences.append(_pick(book.rest[region], rng))
    return sentences


def _impression(findings: Findings, book: Phrasebook, rng: np.random.Generator) -> str:
    sentences = [
        _pick(book.alarms[fact, findings.value(fact)], rng)
        for fact in REGIONS["devices"]
        if (fact, findings.value(fact)) in MALPOSITIONS
    ]
    sentences += [
        fill_frame(_pick(book.frames, rng), _pick(_phrases(topics, findings, book), rng))
        for topics in named_topics(findings, book)
    ]
    return book.joint.join(sentences) or _pick(book.normal_impressions, rng)


def _phrases(topics: tuple[str, ...], findings: Findings, book: Phrasebook) -> tuple[NounPhrase, ...]:
    if len(topics) == 1:
        return book.phrases[topics[0], values_of(topics[0], findings)]
    one, other = topics
    return book.merged[one, values_of(one, findings), other, values_of(other, findings)]


def _pick(choices: Sequence[_Choice], rng: np.random.Generator) -> _Choice:
    weights = HABIT ** np.arange(len(choices))
    return choices[int(rng.choice(len(choices), p=weights / weights.sum()))]
