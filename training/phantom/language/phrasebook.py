"""What a book of phrases for one language holds, and the topics that its sentences are about.

Data types only: `english` and `chinese` fill them, with the `_names` beside them; `grammar` chooses among
the phrases, `parser` reads them back. A topic is what one sentence is about: mostly one fact of each side, so
that a sentence may say "both".
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
"""The values of a topic's facts."""
Wordings: TypeAlias = Mapping[Values, tuple[str, ...]]
"""Values of a topic's facts -> the sentences that state them, likelier ones first."""


@dataclass(frozen=True, slots=True)
class NounPhrase:
    """A finding as the impression names it, with the number that its verb must agree with."""

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
"""The topics in reading order, with the facts that a sentence about them states."""

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
"""The topics that an impression names, most important first. Of devices it names what is malplaced."""

MERGED: Mapping[str, str] = MappingProxyType(
    {"pneumothorax": "rib_fracture", "consolidation": "effusion", "oedema": "heart"}
)
"""topic -> the topic that may be told in one phrase with it: trauma, pneumonia, heart failure."""


@dataclass(frozen=True, slots=True)
class Phrasebook:
    """The words of one language.

    Attributes:
        findings_header: what opens the findings; the impression likewise.
        normal: region -> sentences that call all of it normal.
        rest: region -> sentences that call normal what the sentences before did not name.
        topics: topic -> wordings; `heart_AP` is the heart's topic in an AP view.
        phrases: (topic, values) -> how the impression names it.
        merged: (topic, values, other topic, values) -> one phrase for both.
        alarms: a malplaced device -> sentences of the impression.
        frames: what makes a sentence of a phrase, in place of `{0}`; `{be}` agrees with it.
        normal_impressions: what the impression says if there is nothing to name.
        joint: what stands between two sentences.
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
    """Return what a sentence about a topic states."""
    return tuple(zip(TOPICS[topic.removesuffix("_AP")], values, strict=True))


def normal_values(topic: str) -> Values:
    """Return the normal values of a topic's facts."""
    return tuple(FACTS[fact][0] for fact in TOPICS[topic])


def one_sided(side: str, value: str) -> Values:
    """Return the values of a topic of two sides if only one of them is abnormal."""
    return (value, "none") if side == "right" else ("none", value)
