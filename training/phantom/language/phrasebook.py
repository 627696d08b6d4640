"""Data types for the phrases of a language, and the topics of its sentences.

`english` and `chinese` contain the phrases, with `english_names` and `chinese_names`. `grammar`
chooses phrases, and `parser` recognises them. A topic is the subject of one sentence. Most topics
contain a fact for each side, so that one sentence can say "both".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias

from training.phantom.findings import FACTS

Language = Literal["en", "zh"]
Statement: TypeAlias = tuple[str, str]
"""A fact and its value."""
Values: TypeAlias = tuple[str, ...]
"""Values of the facts of a topic."""
Wordings: TypeAlias = Mapping[Values, tuple[str, ...]]
"""Sentences by the values that they state, more likely ones first."""


@dataclass(frozen=True, slots=True)
class NounPhrase:
    """Name of a finding in the impression, with its grammatical number."""

    text: str
    plural: bool = False


TOPICS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "endotracheal_tube": ("endotracheal_tube",),
        "gastric_tube": ("gastric_tube",),
        "central_line": ("central_line",),
        "pacemaker": ("pacemaker",),
        "consolidation": ("consolidation_right", "consolidation_left"),
        "atelectasis": ("atelectasis_right", "atelectasis_left"),
        "nodule": ("nodule",),
        "oedema": ("oedema",),
        "hyperinflation": ("hyperinflation",),
        "effusion": ("effusion_right", "effusion_left"),
        "pneumothorax": ("pneumothorax_right", "pneumothorax_left"),
        "heart": ("heart",),
        "rib_fracture": ("rib_fracture_right", "rib_fracture_left"),
    }
)
"""Topics in reading order, with the facts that a sentence about each states."""

IMPORTANCE = (
    "pneumothorax",
    "nodule",
    "consolidation",
    "oedema",
    "effusion",
    "atelectasis",
    "rib_fracture",
    "heart",
    "hyperinflation",
)
"""Topics that an impression names, most important first; of devices, only malpositions."""

MERGED: Mapping[str, str] = MappingProxyType(
    {"pneumothorax": "rib_fracture", "consolidation": "effusion", "oedema": "heart"}
)
"""Topics that one phrase can name together: trauma, pneumonia, heart failure."""


@dataclass(frozen=True, slots=True)
class Phrasebook:
    """Phrases of one language.

    Attributes:
        findings_header: heading of the findings.
        impression_header: heading of the impression.
        normal: sentences that call a whole region normal, by region.
        rest: sentences that call the remainder of a region normal, by region.
        topics: wordings by topic; `heart_AP` is the topic of the heart in an AP view.
        phrases: names of a topic with its values in the impression.
        merged: names of two topics with their values in the impression.
        alarms: sentences of the impression about a malpositioned device.
        frames: frames that turn a phrase into a sentence: `{0}` is the phrase, and `{be}` a form of
            "be" that agrees with it.
        normal_impressions: sentences of an impression with nothing to name.
        joint: text between two sentences.
    """

    findings_header: str
    impression_header: str
    normal: Mapping[str, tuple[str, ...]]
    rest: Mapping[str, tuple[str, ...]]
    topics: Mapping[str, Wordings]
    phrases: Mapping[tuple[str, Values], tuple[NounPhrase, ...]]
    merged: Mapping[tuple[str, Values, str, Values], tuple[NounPhrase, ...]]
    alarms: Mapping[Statement, tuple[str, ...]]
    frames: tuple[str, ...]
    normal_impressions: tuple[str, ...]
    joint: str


def statements(topic: str, values: Values) -> tuple[Statement, ...]:
    """Return the statements of a sentence about a topic."""
    return tuple(zip(TOPICS[topic.removesuffix("_AP")], values, strict=True))


def normal_values(topic: str) -> Values:
    """Return the normal values of the facts of a topic."""
    return tuple(FACTS[fact][0] for fact in TOPICS[topic])


def one_sided(side: str, value: str) -> Values:
    """Return the values of a two-sided topic of which only one side is abnormal."""
    return (value, "none") if side == "right" else ("none", value)
