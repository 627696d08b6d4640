"""Regions of a normalised report, in order, with their words and normal sentences. Data only."""

from __future__ import annotations

import re
from dataclasses import dataclass

from echo_node.report_text.phrases import FINDINGS, SUPPORT_DEVICES


@dataclass(frozen=True, slots=True)
class Region:
    """A part of the chest that every report makes explicit.

    Attributes:
        name: name for messages.
        words: words by which sentences name the region.
        classes: classes of the labeller that are findings of this region.
        normal: sentence for a region that the report does not mention.
    """

    name: str
    words: re.Pattern[str]
    classes: frozenset[str]
    normal: str


def _named(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{pattern})(?!\w)", re.IGNORECASE)


REGIONS = (
    Region(
        "lungs",
        _named(
            r"lungs?|(?:cardio)?pulmonary|lob(?:e|es|ar)|opacit\w+|opacif\w+|consolidat\w+|air-?\s?space|infiltrat\w+"
            r"|atelecta\w+|nodul\w+|mass(?:es)?|o?edema|pneumonias?|interstitial|parenchym\w+|emphysema\w*|bas(?:al|ilar)"
            r"|infections?|congestion|markings|granulomas?|bronch\w+|aerated|(?:upper|lower) zones?"
        ),
        frozenset({"Lung Opacity", "Lung Lesion", "Edema", "Consolidation", "Pneumonia", "Atelectasis"}),
        "The lungs are clear.",
    ),
    Region(
        "pleura",
        _named(
            r"pleura\w*|effusions?|(?:hydro)?pneumothora\w+|costophrenic|cp angles?|ha?emothorax|fibrothorax"
        ),
        frozenset({"Pneumothorax", "Pleural Effusion", "Pleural Other"}),
        "There is no pleural effusion or pneumothorax.",
    ),
    Region(
        "heart and mediastinum",
        _named(r"hearts?|cardiac|cardio\w+|mediastin\w+|aort\w+|hil(?:ar|a|um)|trachea|silhouette"),
        frozenset({"Cardiomegaly", "Enlarged Cardiomediastinum"}),
        "The heart and mediastinum are normal.",
    ),
    Region(
        "bones",
        _named(
            r"bon(?:e|es|y)|osseous|ribs?|clavic\w+|spin(?:e|al)|vertebra\w*|fractur\w+|skelet\w+|scolio\w+|kypho\w+"
            r"|shoulders?|humer\w+|stern(?:um|al)|degenerative|osteo\w+|chest wall"
        ),
        frozenset({"Fracture"}),
        "The bones are intact.",
    ),
    Region(
        "devices",
        _named(FINDINGS[SUPPORT_DEVICES]),
        frozenset({SUPPORT_DEVICES}),
        "There are no support devices.",
    ),
)
