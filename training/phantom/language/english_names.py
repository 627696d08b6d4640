"""English impressions: names of findings and sentences about malpositions. Data."""

from __future__ import annotations

from itertools import product

from training.phantom.findings import FACTS, SIDES
from training.phantom.language.phrasebook import NounPhrase, Statement, Values, one_sided

SIZES = ("small", "moderate", "large")


COLLAPSES = {
    "upper_lobe": "collapse of the right upper lobe",
    "lower_lobe": "collapse of the left lower lobe",
}


def lobe_name(side: str, lobe: str) -> str:
    """Return the name of a lobe; there is only one lingula."""
    return "lingula" if lobe == "lingula" else f"{side} {lobe} lobe"


ALARMS: dict[Statement, tuple[str, ...]] = {
    ("endotracheal_tube", "high"): (
        "The endotracheal tube should be advanced.",
        "High endotracheal tube, which needs advancing.",
    ),
    ("endotracheal_tube", "right_bronchus"): (
        "The endotracheal tube is in the right main bronchus and should be withdrawn.",
        "Right main bronchus intubation, withdrawal of the tube is advised.",
    ),
    ("gastric_tube", "oesophagus"): (
        "The gastric tube ends in the oesophagus and should be advanced.",
        "Short gastric tube, which needs advancing.",
    ),
    ("gastric_tube", "right_bronchus"): (
        "The gastric tube lies in the right lung and must be removed.",
        "Misplaced gastric tube in the right bronchial tree, removal is advised.",
    ),
    **{
        ("central_line", f"{side}_atrium"): (
            f"The {side} central line lies in the right atrium and should be withdrawn.",
            f"Deep {side} central line, withdrawal is advised.",
        )
        for side in SIDES
    },
}


def _nouns(*texts: str, plural: bool = False) -> tuple[NounPhrase, ...]:
    return tuple(NounPhrase(text, plural) for text in texts)


def phrases() -> dict[tuple[str, Values], tuple[NounPhrase, ...]]:
    """Return the noun phrases for each (topic, values)."""
    named: dict[tuple[str, Values], tuple[NounPhrase, ...]] = {}
    for right, left in product(FACTS["consolidation_right"], FACTS["consolidation_left"]):
        sites = [lobe_name(s, v) for s, v in (("right", right), ("left", left)) if v != "none"]
        if not sites:
            continue
        if len(sites) == 1:
            words = _nouns(f"{sites[0]} consolidation", f"pneumonic consolidation in the {sites[0]}")
        elif right == left:
            words = _nouns(f"bilateral {right} lobe consolidation", f"consolidation in both {right} lobes")
        else:
            words = _nouns(
                f"multifocal consolidation ({sites[0]} plus {sites[1]})",
                f"{sites[0]} consolidation with {sites[1]} consolidation",
            )
        named["consolidation", (right, left)] = words
    for values in product(FACTS["atelectasis_right"], FACTS["atelectasis_left"]):
        parts = [
            COLLAPSES.get(value, f"{side} basal linear atelectasis")
            for side, value in zip(SIDES, values, strict=True)
            if value != "none"
        ]
        if not parts:
            continue
        words = _nouns(" with ".join(parts), " plus ".join(parts)) if len(parts) > 1 else _nouns(parts[0])
        named["atelectasis", values] = words
    named["atelectasis", ("linear", "linear")] = _nouns(
        "bibasal atelectasis", "linear atelectasis at both bases"
    )
    for value in FACTS["nodule"][1:]:
        side, zone, size = value.split("_")
        words = _nouns(f"a {side} {zone} zone {size}", f"a solitary {size} in the {side} {zone} zone")
        named["nodule", (value,)] = words
    for kind in ("interstitial", "alveolar"):
        named["oedema", (kind,)] = _nouns(f"{kind} pulmonary oedema", f"pulmonary oedema of {kind} type")
    named["hyperinflation", ("present",)] = _nouns("hyperinflated lungs", plural=True) + _nouns(
        "hyperinflation"
    )
    for size, side in product(SIZES, SIDES):
        words = _nouns(f"a {size} {side} effusion", f"a {size} {side} pleural effusion")
        named["effusion", one_sided(side, size)] = words
        named["effusion", (size, size)] = _nouns(
            f"{size} bilateral effusions", f"{size} effusions on both sides", plural=True
        )
    for right, left in product(SIZES, SIZES):
        if right != left:
            named["effusion", (right, left)] = _nouns(
                f"a {right} right effusion with a {left} left effusion",
                f"a {right} right plus a {left} left pleural effusion",
            )
    for size, side in product(("small", "large"), SIDES):
        words = _nouns(f"a {size} {side} pneumothorax", f"a {size} pneumothorax on the {side}")
        named["pneumothorax", one_sided(side, size)] = words
    for degree in ("mild", "marked"):
        words = _nouns(f"{degree} cardiomegaly", f"a {degree}ly enlarged heart")
        named["heart", (f"{degree}ly_enlarged",)] = words
    for side in SIDES:
        words = _nouns(f"{side} rib fractures", f"fractures of {side} ribs", plural=True)
        named["rib_fracture", one_sided(side, "present")] = words
    named["rib_fracture", ("present", "present")] = _nouns(
        "bilateral rib fractures", "rib fractures on both sides", plural=True
    )
    return named


def merged() -> dict[tuple[str, Values, str, Values], tuple[NounPhrase, ...]]:
    """Return the noun phrases for two topics with their values."""
    named: dict[tuple[str, Values, str, Values], tuple[NounPhrase, ...]] = {}
    for side in SIDES:
        for size in ("small", "large"):
            key = ("pneumothorax", one_sided(side, size), "rib_fracture", one_sided(side, "present"))
            named[key] = _nouns(
                f"a {size} {side} pneumothorax with rib fractures on the same side",
                f"a {size} traumatic {side} pneumothorax with fractured ribs",
            )
        for lobe, size in product(FACTS[f"consolidation_{side}"][1:], SIZES):
            where = ("consolidation", one_sided(side, lobe), "effusion", one_sided(side, size))
            named[where] = _nouns(
                f"{lobe_name(side, lobe)} pneumonia with a {size} parapneumonic effusion",
                f"consolidation of the {lobe_name(side, lobe)} with a {size} effusion on the same side",
            )
    for kind, degree in product(("interstitial", "alveolar"), ("mild", "marked")):
        named["oedema", (kind,), "heart", (f"{degree}ly_enlarged",)] = _nouns(
            f"heart failure with {kind} oedema on top of {degree} cardiomegaly",
            f"{kind} oedema with {degree} cardiomegaly in keeping with heart failure",
        )
    return named
