"""Prevalence of each finding, and combinations of findings that are excluded.

Implausible combinations are drawn again. Therefore the resulting shares differ a little from the
shares here; docs/explanation/phantom-world.md states both. Devices and trauma are more common in
portable (AP) studies.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from training.phantom.findings import FACTS, SIDES, Findings, Habitus, Patient, Sex, Side

NORMAL_SHARE = 0.10
"""Share of studies that are normal by design; others are normal by chance."""

PORTABLE_SHARE = 0.40
"""Share of AP studies."""

PREVALENCE: Mapping[str, Mapping[str, tuple[float, ...]]] = MappingProxyType(
    {
        "PA": {
            "endotracheal_tube": (),
            "gastric_tube": (),
            "central_line": (0.04, 0.02, 0.01, 0.01),
            "pacemaker": (0.05, 0.07, 0.02, 0.03),
            "consolidation_right": (0.07, 0.06, 0.08),
            "consolidation_left": (0.06, 0.05, 0.07),
            "atelectasis_right": (0.08, 0.05),
            "atelectasis_left": (0.08, 0.05),
            "nodule": (0.02,) * 12,
            "oedema": (0.08, 0.05),
            "hyperinflation": (0.16,),
            "effusion_right": (0.09, 0.07, 0.05),
            "effusion_left": (0.09, 0.07, 0.05),
            "pneumothorax_right": (0.06, 0.05),
            "pneumothorax_left": (0.06, 0.05),
            "heart": (0.15, 0.11),
            "rib_fracture_right": (0.08,),
            "rib_fracture_left": (0.08,),
        },
        "AP": {
            "endotracheal_tube": (0.25, 0.08, 0.10),
            "gastric_tube": (0.25, 0.07, 0.06),
            "central_line": (0.20, 0.12, 0.07, 0.05),
            "pacemaker": (0.04, 0.05, 0.01, 0.02),
            "consolidation_right": (0.06, 0.04, 0.10),
            "consolidation_left": (0.05, 0.04, 0.09),
            "atelectasis_right": (0.09, 0.05),
            "atelectasis_left": (0.09, 0.06),
            "nodule": (0.008,) * 12,
            "oedema": (0.10, 0.12),
            "hyperinflation": (0.05,),
            "effusion_right": (0.10, 0.09, 0.06),
            "effusion_left": (0.10, 0.09, 0.06),
            "pneumothorax_right": (0.06, 0.05),
            "pneumothorax_left": (0.06, 0.05),
            "heart": (0.18, 0.14),
            "rib_fracture_right": (0.10,),
            "rib_fracture_left": (0.10,),
        },
    }
)
"""Share of each abnormal value by view and fact, in the order of `FACTS`; an empty tuple: none."""

_HABITUS: tuple[tuple[Habitus, float], ...] = (("slim", 0.25), ("average", 0.5), ("large", 0.25))


def is_plausible(findings: Findings) -> bool:
    """Return whether the findings are possible together, and each is visible next to the others."""
    both_sided = findings.pneumothorax_right != "none" and findings.pneumothorax_left != "none"
    drowned = findings.oedema == "alveolar" and (
        findings.consolidation_right != "none"
        or findings.consolidation_left != "none"
        or findings.nodule != "none"
    )
    inflated = findings.hyperinflation == "present" and (
        findings.oedema != "none"
        or "large" in (findings.effusion_right, findings.effusion_left)
        or {findings.atelectasis_right, findings.atelectasis_left} & {"upper_lobe", "lower_lobe"}
        or "large" in (findings.pneumothorax_right, findings.pneumothorax_left)
    )
    hidden_heart = findings.heart != "normal" and "large" in (
        findings.effusion_left,
        findings.pneumothorax_left,
    )
    behind_heart = findings.heart == "markedly_enlarged" and (
        findings.atelectasis_left == "lower_lobe"
        or findings.consolidation_left == "lingula"
        or "left_lower" in findings.nodule
    )
    one_sided = all(_is_plausible_on(side, findings) for side in SIDES)
    return one_sided and not (both_sided or drowned or inflated or hidden_heart or behind_heart)


def _is_plausible_on(side: Side, findings: Findings) -> bool:
    lobe, collapse = (findings.value(f"{fact}_{side}") for fact in ("consolidation", "atelectasis"))
    fluid, air = (findings.value(f"{fact}_{side}") for fact in ("effusion", "pneumothorax"))
    # Fluid over the lower half of a lung hides findings there. Fluid with air is another disease.
    if fluid in ("moderate", "large") and (
        lobe in ("lower", "middle", "lingula") or collapse in ("linear", "lower_lobe") or air != "none"
    ):
        return False
    if fluid == "large" and (lobe != "none" or f"{side}_middle" in findings.nodule):
        return False
    if fluid in ("moderate", "large") and f"{side}_lower" in findings.nodule:
        return False
    # A collapsed lung is small and dense: findings in it are not visible.
    if air == "large" and (lobe != "none" or collapse != "none" or findings.nodule.startswith(side)):
        return False
    if air == "small" and (lobe == "upper" or collapse == "upper_lobe" or f"{side}_upper" in findings.nodule):
        return False
    if lobe != "none" and (collapse != "none" or findings.nodule.startswith(side)):
        return False
    return not (collapse in ("upper_lobe", "lower_lobe") and findings.nodule.startswith(side))


def sample_patient(rng: np.random.Generator) -> Patient:
    """Draw a patient, always with the same number of random draws."""
    age = int(np.clip(rng.normal(60.0, 18.0), 18, 95))
    sex: Sex = "F" if rng.random() < 0.5 else "M"
    names, shares = zip(*_HABITUS, strict=True)
    habitus = names[int(rng.choice(len(names), p=shares))]
    return Patient(age, sex, habitus, "AP" if rng.random() < PORTABLE_SHARE else "PA")


def sample_findings(rng: np.random.Generator) -> Findings:
    """Draw a patient with plausible findings."""
    patient = sample_patient(rng)
    if rng.random() < NORMAL_SHARE:
        return Findings.normal(patient)
    while True:
        values = {fact: _draw(fact, shares, rng) for fact, shares in PREVALENCE[patient.view].items()}
        findings = Findings(patient=patient, **values)
        if is_plausible(findings):
            return findings


def _draw(fact: str, shares: tuple[float, ...], rng: np.random.Generator) -> str:
    place = int(np.searchsorted(np.cumsum(shares), rng.random(), side="right"))
    values = FACTS[fact]
    return values[place + 1] if place < len(shares) else values[0]
