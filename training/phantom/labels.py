"""What a phantom's report can say: its six facts as present or absent, and the words of the language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

from training.metrics.words import words
from training.phantom.findings import FACTS, Findings
from training.phantom.grammar import FINDINGS_HEADER, IMPRESSION_HEADER
from training.phantom.parser import findings_meanings, parse_report
from training.phantom.phrasebook import IMPRESSION_FRAMES, IMPRESSION_PHRASES, NORMAL_IMPRESSIONS

Presence: TypeAlias = Mapping[str, Literal["positive", "negative"] | None]
"""Fact -> whether its value is an abnormal one; None where nothing is said of it."""


def labels_of(findings: Findings) -> Presence:
    """Return which facts are abnormal: something to be seen, whatever its side and size."""
    return {fact: "negative" if findings.is_normal(fact) else "positive" for fact in FACTS}


def labels_stated(draft: str) -> Presence:
    """Return what the coherent sentences of a draft's Findings section say; a positive one prevails."""
    stated: dict[str, Literal["positive", "negative"] | None] = dict.fromkeys(FACTS)
    for sentence in parse_report(draft).findings:
        for fact, value in sentence.statements:
            normal = value == FACTS[fact][0]
            stated[fact] = "negative" if normal and stated[fact] != "positive" else "positive"
    return stated


def vocabulary_of_grammar() -> frozenset[str]:
    """Return every word that a phantom's report can hold, in lower case."""
    texts = [FINDINGS_HEADER, IMPRESSION_HEADER, *findings_meanings(), *NORMAL_IMPRESSIONS]
    texts += [phrase.text for values in IMPRESSION_PHRASES.values() for p in values.values() for phrase in p]
    texts += [frame.format(*"012", be="is are") for frames in IMPRESSION_FRAMES.values() for frame in frames]
    return frozenset(word for text in texts for word in words(text))
