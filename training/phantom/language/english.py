"""English phrases. Data. A full stop only ends a sentence, and no sentence is ambiguous."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from types import MappingProxyType

from training.phantom.findings import FACTS, SIDES
from training.phantom.language.english_names import ALARMS, COLLAPSES, SIZES, lobe_name, merged, phrases
from training.phantom.language.phrasebook import Phrasebook, Values, Wordings, one_sided


def _filled(frames: Iterable[str], **words: str) -> tuple[str, ...]:
    """Return the filled frames, each with a capital first letter."""
    filled = (frame.format(**words) for frame in frames)
    return tuple(text[0].upper() + text[1:] for text in filled)


_DEVICES: dict[str, Wordings] = {
    "endotracheal_tube": {
        ("satisfactory",): (
            "The endotracheal tube ends above the carina in satisfactory position.",
            "An endotracheal tube is in good position.",
            "The tip of the endotracheal tube lies in the mid trachea.",
            "The patient is intubated with the tube tip suitably above the carina.",
        ),
        ("high",): (
            "The endotracheal tube is high, with its tip above the clavicles.",
            "The tip of the endotracheal tube lies too high in the upper trachea.",
            "An endotracheal tube ends at the thoracic inlet, which is too high.",
            "The endotracheal tube is placed too far above the carina.",
        ),
        ("right_bronchus",): (
            "The endotracheal tube has entered the right main bronchus.",
            "The tip of the endotracheal tube lies in the right main bronchus.",
            "An endotracheal tube ends beyond the carina in the right main bronchus.",
            "There is right main bronchus intubation.",
        ),
    },
    "gastric_tube": {
        ("stomach",): (
            "A gastric tube reaches the stomach.",
            "The tip of the gastric tube projects below the left hemidiaphragm.",
            "The gastric tube passes into the stomach.",
            "A nasogastric tube is in satisfactory position.",
        ),
        ("oesophagus",): (
            "The gastric tube ends in the oesophagus above the diaphragm.",
            "The tip of the gastric tube lies in the distal oesophagus.",
            "A nasogastric tube stops short of the stomach.",
            "The gastric tube does not reach the stomach.",
        ),
        ("right_bronchus",): (
            "The gastric tube follows the airway into the right lower lobe.",
            "The tip of the gastric tube lies in the right bronchial tree.",
            "A nasogastric tube has entered the right lung.",
            "The gastric tube is misplaced in a right lower lobe bronchus.",
        ),
    },
    "central_line": {
        (f"{side}_{tip}",): _filled(frames, side=side)
        for side in SIDES
        for tip, frames in {
            "svc": (
                "a {side} jugular venous line ends in the superior vena cava.",
                "a {side} central venous catheter is in good position.",
                "the tip of the {side} central line projects over the superior vena cava.",
                "there is a {side} neck line with its tip in the superior vena cava.",
            ),
            "atrium": (
                "a {side} jugular venous line ends deep in the right atrium.",
                "a {side} central venous catheter extends too far into the right atrium.",
                "the tip of the {side} central line projects over the right atrium.",
                "there is a {side} neck line with its tip in the right atrium.",
            ),
        }.items()
    },
    "pacemaker": {
        (f"{side}_{leads}",): _filled(
            (
                "a {side} chest wall pacemaker with {leads} is in place.",
                "there is a {side} sided pacemaker with {leads}.",
                "a generator overlies the {side} upper chest, connected to {leads}.",
                "cardiac pacing from the {side} pectoral pocket uses {leads}.",
            ),
            side=side,
            leads={"single": "a single ventricular lead", "dual": "atrial and ventricular leads"}[leads],
        )
        for side in SIDES
        for leads in ("single", "dual")
    },
}


def _consolidation() -> Wordings:
    wordings: dict[Values, tuple[str, ...]] = {}
    rights, lefts = FACTS["consolidation_right"], FACTS["consolidation_left"]
    for right, left in product(rights, lefts):
        sites = [lobe_name(s, v) for s, v in (("right", right), ("left", left)) if v != "none"]
        if len(sites) == 1:
            frames: tuple[str, ...] = (
                "there is consolidation in the {site}.",
                "airspace opacity is seen in the {site}.",
                "the {site} is consolidated.",
                "dense airspace shadowing involves the {site}.",
                "ill-defined consolidation occupies the {site}.",
            )
            wordings[right, left] = _filled(frames, site=sites[0])
        elif sites and right == left:
            frames = (
                "there is consolidation in both {lobe} lobes.",
                "both {lobe} lobes are consolidated.",
                "bilateral {lobe} lobe consolidation is present.",
                "airspace opacities involve the {lobe} lobes of both lungs.",
            )
            wordings[right, left] = _filled(frames, lobe=right)
        elif sites:
            frames = (
                "there is consolidation in the {one} and the {other}.",
                "the {one} and the {other} are consolidated.",
                "airspace opacities are seen in the {one} and in the {other}.",
                "multifocal consolidation involves the {one} and the {other}.",
            )
            wordings[right, left] = _filled(frames, one=sites[0], other=sites[1])
    return wordings


def _atelectasis() -> Wordings:
    linear = (
        "there is linear atelectasis at the {side} base.",
        "plate-like atelectasis crosses the {side} lower zone.",
        "bands of subsegmental atelectasis lie above the {side} hemidiaphragm.",
        "discoid atelectasis is noted at the {side} lung base.",
    )
    wordings: dict[Values, tuple[str, ...]] = {
        one_sided(side, "linear"): _filled(linear, side=side) for side in SIDES
    }
    wordings["linear", "linear"] = (
        "There is bibasal linear atelectasis.",
        "Plate-like atelectasis crosses both lower zones.",
        "Bands of subsegmental atelectasis lie above both hemidiaphragms.",
        "Discoid atelectasis is noted at both lung bases.",
    )
    wordings["upper_lobe", "none"] = (
        "The right upper lobe has collapsed.",
        "There is right upper lobe collapse with elevation of the minor fissure.",
        "Right upper lobe atelectasis draws the trachea to the right.",
        "Volume loss and opacity indicate collapse of the right upper lobe.",
    )
    wordings["none", "lower_lobe"] = (
        "The left lower lobe has collapsed behind the heart.",
        "There is left lower lobe collapse with a triangular retrocardiac opacity.",
        "Left lower lobe atelectasis effaces the medial left hemidiaphragm.",
        "Volume loss and opacity indicate collapse of the left lower lobe.",
    )
    for values in (("upper_lobe", "linear"), ("linear", "lower_lobe"), ("upper_lobe", "lower_lobe")):
        one, other = (
            COLLAPSES.get(value, f"linear atelectasis at the {side} base")
            for side, value in zip(SIDES, values, strict=True)
        )
        frames = (
            "there is {one} and {other}.",
            "{one} is accompanied by {other}.",
            "{one} and {other} are present.",
            "{one} is seen, as is {other}.",
        )
        wordings[values] = _filled(frames, one=one, other=other)
    return wordings


_NODULE: Wordings = {
    (value,): _filled(
        (
            "there is a {size} in the {side} {zone} zone.",
            "a rounded {size} projects over the {side} {zone} zone.",
            "a well-defined {size} lies in the {zone} part of the {side} lung.",
            "the {side} {zone} zone contains a solitary {size}.",
        ),
        **dict(zip(("side", "zone", "size"), value.split("_"), strict=True)),
    )
    for value in FACTS["nodule"][1:]
}

_LUNGS: dict[str, Wordings] = {
    "consolidation": _consolidation(),
    "atelectasis": _atelectasis(),
    "nodule": _NODULE,
    "oedema": {
        ("interstitial",): (
            "There is interstitial pulmonary oedema with septal lines.",
            "Prominent vessels and Kerley B lines indicate interstitial oedema.",
            "The interstitial markings are increased in keeping with oedema.",
            "Septal thickening and vascular congestion are seen in both lungs.",
        ),
        ("alveolar",): (
            "There is alveolar pulmonary oedema in a perihilar distribution.",
            "Bilateral perihilar airspace opacities indicate pulmonary oedema.",
            "Bat-wing shadowing extends from both hila in keeping with alveolar oedema.",
            "Confluent perihilar oedema fills the air spaces of both lungs.",
        ),
    },
    "hyperinflation": {
        ("present",): (
            "The lungs are hyperinflated with flattened hemidiaphragms.",
            "There is hyperinflation of both lungs.",
            "Lung volumes are increased and the hemidiaphragms are flat.",
            "Both hemidiaphragms are low and flat in keeping with hyperinflation.",
        )
    },
}


def _effusion() -> Wordings:
    single = (
        "there is a {size} {side} pleural effusion.",
        "a {size} effusion is present on the {side}.",
        "{side} pleural fluid of {size} volume is seen.",
        "a {size} amount of fluid lies in the {side} pleural space.",
    )
    same = (
        "there are {size} bilateral pleural effusions.",
        "{size} effusions are present on both sides.",
        "bilateral pleural fluid of {size} volume is seen.",
        "both pleural spaces contain a {size} amount of fluid.",
    )
    different = (
        "there are bilateral pleural effusions, {right} on the right and {left} on the left.",
        "a {right} right and a {left} left pleural effusion are present.",
        "bilateral pleural fluid is seen, of {right} volume on the right and {left} on the left.",
        "both pleural spaces contain fluid, {right} in amount on the right and {left} on the left.",
    )
    wordings: dict[Values, tuple[str, ...]] = {
        ("none", "none"): (
            "No pleural effusion is seen.",
            "There is no pleural fluid.",
            "The costophrenic angles are sharp.",
            "Both pleural spaces are free of fluid.",
        )
    }
    for size in SIZES:
        wordings.update({one_sided(side, size): _filled(single, side=side, size=size) for side in SIDES})
        wordings[size, size] = _filled(same, size=size)
    for right, left in product(SIZES, SIZES):
        if right != left:
            wordings[right, left] = _filled(different, right=right, left=left)
    return wordings


_PLEURA: dict[str, Wordings] = {
    "effusion": _effusion(),
    "pneumothorax": {
        ("none", "none"): (
            "There is no pneumothorax.",
            "No pneumothorax is seen.",
            "Neither lung has collapsed from its wall.",
            "Pneumothorax is absent.",
        ),
        **{
            one_sided(side, size): _filled(
                (
                    "there is a {size} {side} pneumothorax.",
                    "a {size} pneumothorax is present on the {side}.",
                    "the {side} visceral pleural edge is visible, with a {size} pneumothorax.",
                    "free air in the {side} pleural space forms a {size} pneumothorax.",
                ),
                side=side,
                size=size,
            )
            for side in SIDES
            for size in ("small", "large")
        },
    },
}

_HEART: dict[str, Wordings] = {
    "heart": {
        ("normal",): (
            "The heart is normal in size.",
            "Heart size is normal.",
            "The cardiac silhouette is not enlarged.",
            "The cardiomediastinal contours are within normal limits.",
        ),
        ("mildly_enlarged",): (
            "The heart is mildly enlarged.",
            "Heart size is slightly increased.",
            "Mild enlargement of the cardiac silhouette is present.",
            "There is mild cardiomegaly.",
        ),
        ("markedly_enlarged",): (
            "The heart is markedly enlarged.",
            "Heart size is greatly increased.",
            "Marked enlargement of the cardiac silhouette is present.",
            "There is marked cardiomegaly.",
        ),
    },
    "heart_AP": {
        ("normal",): (
            "The heart is not enlarged allowing for the AP projection.",
            "Heart size is within normal limits for a portable study.",
            "The cardiac silhouette is unremarkable for an AP view.",
            "The cardiomediastinal contours are normal for this projection.",
        ),
        ("mildly_enlarged",): (
            "The heart is mildly enlarged even allowing for the AP projection.",
            "Heart size is slightly increased for a portable study.",
            "The cardiac silhouette is mildly enlarged for an AP view.",
            "There is mild cardiomegaly for this projection.",
        ),
        ("markedly_enlarged",): (
            "The heart is markedly enlarged even allowing for the AP projection.",
            "Heart size is greatly increased for a portable study.",
            "The cardiac silhouette is markedly enlarged for an AP view.",
            "There is marked cardiomegaly for this projection.",
        ),
    },
}

_BONES: dict[str, Wordings] = {
    "rib_fracture": {
        ("none", "none"): (
            "The bones are intact.",
            "No rib fracture is seen.",
            "There is no acute bony abnormality.",
            "The ribs are unremarkable.",
        ),
        **{
            one_sided(side, "present"): _filled(
                (
                    "there are displaced {side} rib fractures.",
                    "several {side} ribs are fractured.",
                    "displaced fractures of {side} ribs are seen.",
                    "multiple ribs on the {side} are broken.",
                ),
                side=side,
            )
            for side in SIDES
        },
        ("present", "present"): (
            "There are displaced bilateral rib fractures.",
            "Several ribs are fractured on both sides.",
            "Displaced fractures of the ribs of both sides are seen.",
            "Multiple ribs are broken bilaterally.",
        ),
    }
}

ENGLISH = Phrasebook(
    findings_header="Findings:",
    impression_header="Impression:",
    normal=MappingProxyType(
        {
            "devices": (
                "No tubes, lines or devices are seen.",
                "There are no support devices.",
                "The chest is free of lines and tubes.",
                "No indwelling hardware projects over the chest.",
            ),
            "lungs": (
                "The lungs are clear.",
                "Both lungs are clear and well aerated.",
                "No focal lung abnormality is seen.",
                "There is no airspace opacity or nodule in either lung.",
            ),
            "pleura": (
                "No pleural effusion or pneumothorax is seen.",
                "There is neither effusion nor pneumothorax.",
                "The pleural spaces are clear.",
                "Both pleural spaces are free of fluid and air.",
            ),
        }
    ),
    rest=MappingProxyType(
        {
            "devices": (
                "No other lines or tubes are seen.",
                "There are no further devices.",
                "No additional hardware is present.",
                "Other support devices are absent.",
            ),
            "lungs": (
                "The lungs are otherwise clear.",
                "No other lung abnormality is seen.",
                "The remaining lung is clear.",
                "Elsewhere the lungs are clear.",
            ),
        }
    ),
    topics=MappingProxyType({**_DEVICES, **_LUNGS, **_PLEURA, **_HEART, **_BONES}),
    phrases=MappingProxyType(phrases()),
    merged=MappingProxyType(merged()),
    alarms=MappingProxyType(ALARMS),
    frames=("{0}.", "There {be} {0}.", "The study shows {0}.", "{0} {be} noted."),
    normal_impressions=(
        "No acute abnormality.",
        "No acute cardiopulmonary disease is seen.",
        "No radiographic evidence of acute disease in the chest.",
        "Normal heart and lungs.",
    ),
    joint=" ",
)
"""English phrasebook."""
