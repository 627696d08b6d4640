"""Writes the report of a phantom study: a sentence for each fact in a fixed order, then the impression.

The phrasing of each sentence is drawn on its own, so a decoder that fills a sentence in one step must make
all its words choose the same phrasing. Some phrasings are likelier than others, as with any reader, but none
has half of the cases. `parser` reads the same language back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from training.phantom.findings import FACTS, Findings
from training.phantom.phrasebook import (
    FINDINGS_SENTENCES,
    IMPRESSION_FRAMES,
    IMPRESSION_PHRASES,
    NORMAL_IMPRESSIONS,
    NounPhrase,
)

FINDINGS_HEADER = "Findings:"
IMPRESSION_HEADER = "Impression:"
MAX_KEY_POSITIVES = 3
HABIT = 0.8
"""How often a phrasing is drawn for each time that the one before it in the phrasebook is."""

_Choice = TypeVar("_Choice")


@dataclass(frozen=True, slots=True)
class PhantomReport:
    """The two sections of a report, without their headers."""

    findings_text: str
    impression_text: str

    @property
    def text(self) -> str:
        """The whole report on one line: `Findings: ... Impression: ...`."""
        return f"{FINDINGS_HEADER} {self.findings_text} {IMPRESSION_HEADER} {self.impression_text}"


def key_positives(findings: Findings) -> tuple[tuple[str, str], ...]:
    """Return the (fact, value) pairs that the impression must name, most important first.

    The rule is fixed: the abnormal ones of pneumothorax, effusion, opacity, bones and heart, in this order,
    and the first three of them at most. Devices are left to the Findings section.
    """
    abnormal = [
        (fact, getattr(findings, fact)) for fact in IMPRESSION_PHRASES if not findings.is_normal(fact)
    ]
    return tuple(abnormal[:MAX_KEY_POSITIVES])


def write_impression(frame: str, phrases: Sequence[NounPhrase]) -> str:
    """Put phrases into a frame of `IMPRESSION_FRAMES`; the verb agrees and the first letter is a capital."""
    sentence = frame.format(*(phrase.text for phrase in phrases), be="are" if phrases[0].plural else "is")
    return sentence[0].upper() + sentence[1:]


def write_report(findings: Findings, rng: np.random.Generator) -> PhantomReport:
    """Write a report that states every fact, drawing the phrasings; the impression names the worst first."""
    sentences = [_pick(FINDINGS_SENTENCES[fact][getattr(findings, fact)], rng) for fact in FACTS]
    return PhantomReport(" ".join(sentences), _draw_impression(findings, rng))


def _draw_impression(findings: Findings, rng: np.random.Generator) -> str:
    positives = key_positives(findings)
    if not positives:
        return _pick(NORMAL_IMPRESSIONS, rng)
    phrases = [_pick(IMPRESSION_PHRASES[fact][value], rng) for fact, value in positives]
    return write_impression(_pick(IMPRESSION_FRAMES[len(phrases)], rng), phrases)


def _pick(choices: Sequence[_Choice], rng: np.random.Generator) -> _Choice:
    weights = HABIT ** np.arange(len(choices))
    return choices[int(rng.choice(len(choices), p=weights / weights.sum()))]
