"""The words of a phantom report: several phrasings of each value, and of each positive in the impression.

Data only; `grammar` chooses among these and `parser` recognises them. No sentence may mean two things, a
sentence ends at its only full stop, and the noun phrases of the impression hold no ", ", " and " or " with ".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

SIDES = ("right", "left")


@dataclass(frozen=True, slots=True)
class NounPhrase:
    """A positive finding as the impression names it, with the number that its verb must agree with."""

    text: str
    plural: bool = False


_DEVICE = {
    "none": (
        "No tubes, lines or devices are seen.",
        "There are no support devices.",
        "No indwelling hardware projects over the chest.",
        "Support apparatus is absent.",
        "The chest is free of lines and tubes.",
    ),
    "endotracheal_tube": (
        "An endotracheal tube ends above the carina.",
        "The tip of the endotracheal tube lies in the mid trachea.",
        "There is an endotracheal tube in satisfactory position.",
        "The patient is intubated, with the tube ending above the carina.",
        "Endotracheal intubation is noted.",
    ),
    "central_line": (
        "A right internal jugular line reaches the superior vena cava.",
        "There is a central venous catheter in good position.",
        "The tip of the central line projects over the superior vena cava.",
        "A central venous catheter has been placed from the right neck.",
        "Central venous access is noted.",
    ),
    "pacemaker": (
        "A left chest wall pacemaker is in place.",
        "There is a pacemaker with a single lead to the right ventricle.",
        "The generator of a pacemaker overlies the left upper chest.",
        "A pacing lead runs from the left pectoral pocket to the heart.",
        "Cardiac pacing hardware is noted.",
    ),
}

_LOBE = (
    "There is consolidation in the {side} {zone} lobe.",
    "A patchy opacity occupies the {side} {zone} zone.",
    "The {side} {zone} lobe is consolidated.",
    "Airspace disease is centred in the {zone} part of the {side} lung.",
    "Dense shadowing involves much of the {side} {zone} zone.",
)

_OPACITY = {
    "none": (
        "The lungs are clear.",
        "Both lungs are clear and well aerated.",
        "No consolidation is seen in either lung.",
        "There is no focal airspace opacity.",
        "Lung parenchyma is free of consolidation.",
    ),
    **{
        f"{side}_{zone}": tuple(sentence.format(side=side, zone=zone) for sentence in _LOBE)
        for side in SIDES
        for zone in ("upper", "lower")
    },
    "bilateral_lower": (
        "Both lower lobes are consolidated.",
        "There are airspace opacities at both lung bases.",
        "Bilateral lower zone consolidation is seen.",
        "Patchy opacities occupy the bases of both lungs.",
        "Dense shadows involve the lower lobes of each lung.",
    ),
}

_SMALL_EFFUSION = (
    "There is a small {side} pleural effusion.",
    "A small amount of fluid is seen in the {side} pleural space.",
    "Blunting of the {side} costophrenic angle reflects a small effusion.",
    "The {side} costophrenic angle is blunted by a little fluid.",
    "A trace of pleural fluid collects on the {side}.",
)

_LARGE_EFFUSION = (
    "There is a large {side} pleural effusion.",
    "A large volume of fluid fills the {side} pleural space.",
    "The {side} hemithorax is half filled by a large effusion.",
    "Extensive pleural fluid hides the {side} diaphragm.",
    "A massive effusion obscures the {side} lung base.",
)

_EFFUSION = {
    "none": (
        "No pleural effusion is seen.",
        "There is no pleural fluid.",
        "The costophrenic angles are sharp.",
        "Both pleural spaces are free of fluid.",
        "Pleural effusion is absent.",
    ),
    **{f"small_{side}": tuple(sentence.format(side=side) for sentence in _SMALL_EFFUSION) for side in SIDES},
    **{f"large_{side}": tuple(sentence.format(side=side) for sentence in _LARGE_EFFUSION) for side in SIDES},
    "bilateral": (
        "There are bilateral pleural effusions.",
        "Both costophrenic angles are blunted by fluid.",
        "Small effusions are present on both sides.",
        "Fluid is seen in both pleural spaces.",
        "Bilateral effusions obscure the costophrenic angles.",
    ),
}

_PNEUMOTHORAX_ON = (
    "There is a {side} pneumothorax.",
    "A {side} pneumothorax separates the lung from the chest wall.",
    "The {side} lung is partly collapsed by pleural air.",
    "Free air outlines the apex of the {side} lung.",
    "A visible pleural line indicates an apical pneumothorax on the {side}.",
)

_PNEUMOTHORAX = {
    "none": (
        "No pneumothorax is seen.",
        "There is no pneumothorax.",
        "Pneumothorax is absent.",
        "No air has escaped into the pleural space.",
        "The lungs are fully expanded to the chest wall.",
    ),
    **{side: tuple(sentence.format(side=side) for sentence in _PNEUMOTHORAX_ON) for side in SIDES},
}

_HEART = {
    "normal": (
        "The heart is normal in size.",
        "Heart size is normal.",
        "The cardiac silhouette is not enlarged.",
        "Cardiomediastinal contours are within normal limits.",
        "There is no cardiomegaly.",
    ),
    "mildly_enlarged": (
        "The heart is mildly enlarged.",
        "Heart size is slightly increased.",
        "The cardiac silhouette is a little wide.",
        "Mild enlargement of the cardiac silhouette is present.",
        "There is mild cardiomegaly.",
    ),
    "markedly_enlarged": (
        "The heart is markedly enlarged.",
        "Heart size is greatly increased.",
        "The cardiac silhouette is grossly wide.",
        "Severe enlargement of the cardiac silhouette is present.",
        "There is marked cardiomegaly.",
    ),
}

_FRACTURES = (
    "There are several displaced {side} rib fractures.",
    "Multiple {side} ribs are fractured.",
    "Healing fractures of the {side} ribs are seen.",
    "Several ribs on the {side} are broken, with callus.",
    "Displaced fractures with callus involve the lateral {side} ribs.",
)

_BONES = {
    "intact": (
        "The bones are intact.",
        "No fracture is seen.",
        "There is no acute bony abnormality.",
        "The ribs and clavicles are unremarkable.",
        "No skeletal injury is identified.",
    ),
    **{
        f"{side}_rib_fractures": tuple(sentence.format(side=side) for sentence in _FRACTURES)
        for side in SIDES
    },
}

FINDINGS_SENTENCES: Mapping[str, Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "device": _DEVICE,
        "opacity": _OPACITY,
        "effusion": _EFFUSION,
        "pneumothorax": _PNEUMOTHORAX,
        "heart": _HEART,
        "bones": _BONES,
    }
)
"""fact -> value -> the sentences that state it, in the order in which the Findings section is read."""

NORMAL_IMPRESSIONS = (
    "No acute abnormality.",
    "No acute cardiopulmonary disease is seen.",
    "Normal chest radiograph.",
    "There is no evidence of acute disease in the chest.",
)
"""The whole impression of a study without key positives."""


def _both_sides(
    value: str, phrases: tuple[str, ...], *, plural: bool = False
) -> dict[str, tuple[NounPhrase, ...]]:
    return {
        value.format(side=side): tuple(NounPhrase(text.format(side=side), plural) for text in phrases)
        for side in SIDES
    }


IMPRESSION_PHRASES: Mapping[str, Mapping[str, tuple[NounPhrase, ...]]] = MappingProxyType(
    {
        "pneumothorax": _both_sides(
            "{side}",
            ("a {side} pneumothorax", "an apical pneumothorax on the {side}", "partial {side} lung collapse"),
        ),
        "effusion": {
            **_both_sides("large_{side}", ("a large {side} effusion", "extensive {side} pleural fluid")),
            **_both_sides("small_{side}", ("a small {side} effusion", "minor {side} pleural fluid")),
            "bilateral": (
                NounPhrase("bilateral effusions", plural=True),
                NounPhrase("pleural fluid on both sides"),
            ),
        },
        "opacity": {
            **_both_sides(
                "{side}_upper", ("{side} upper lobe consolidation", "an opacity in the {side} upper zone")
            ),
            **_both_sides(
                "{side}_lower", ("{side} lower lobe consolidation", "an opacity in the {side} lower zone")
            ),
            "bilateral_lower": (
                NounPhrase("consolidation at both bases"),
                NounPhrase("bilateral lower zone opacities", plural=True),
            ),
        },
        "bones": _both_sides(
            "{side}_rib_fractures", ("{side} rib fractures", "broken ribs on the {side}"), plural=True
        ),
        "heart": {
            "mildly_enlarged": (NounPhrase("mild cardiomegaly"), NounPhrase("a mildly enlarged heart")),
            "markedly_enlarged": (NounPhrase("marked cardiomegaly"), NounPhrase("a markedly enlarged heart")),
        },
    }
)
"""Key positives, most important first: fact -> abnormal value -> noun phrases. Devices are not among them."""

IMPRESSION_FRAMES: Mapping[int, tuple[str, ...]] = MappingProxyType(
    {
        1: ("{0}.", "There {be} {0}.", "The study shows {0}.", "{0} {be} the main abnormality."),
        2: ("{0} and {1}.", "{0} with {1}.", "There {be} {0} with {1}.", "{0} and {1} are present."),
        3: (
            "{0}, {1} and {2}.",
            "{0} with {1} and {2}.",
            "There {be} {0} with {1} and {2}.",
            "{0}, {1} and {2} are seen.",
        ),
    }
)
"""Number of positives -> sentence frames; `{be}` agrees with the first positive."""
