"""What a phantom study shows: six facts, each with a closed list of values.

The findings are drawn first; the image (`radiograph`) and the report (`grammar`) are both made from them, so
their truth is known. Nothing here knows how a finding looks or how it is worded.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from types import MappingProxyType
from typing import Self

import numpy as np

FACTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "device": ("none", "endotracheal_tube", "central_line", "pacemaker"),
        "opacity": ("none", "right_upper", "right_lower", "left_upper", "left_lower", "bilateral_lower"),
        "effusion": ("none", "small_right", "large_right", "small_left", "large_left", "bilateral"),
        "pneumothorax": ("none", "right", "left"),
        "heart": ("normal", "mildly_enlarged", "markedly_enlarged"),
        "bones": ("intact", "right_rib_fractures", "left_rib_fractures"),
    }
)
"""Every fact's values in reading order; the first value of each is the normal one."""

NORMAL_STUDY_SHARE = 0.06
"""The share of studies that are wholly normal by decree; independent draws would give next to none."""

# Rejection of implausible pairs thins out some values, so these are drawn a little too often.
_WEIGHTS: Mapping[str, tuple[float, ...]] = MappingProxyType(
    {
        "device": (0.25, 0.25, 0.25, 0.25),
        "opacity": (0.13, 0.20, 0.16, 0.20, 0.16, 0.15),
        "effusion": (0.12, 0.14, 0.24, 0.14, 0.24, 0.12),
        "pneumothorax": (0.24, 0.38, 0.38),
        "heart": (0.32, 0.34, 0.34),
        "bones": (0.32, 0.34, 0.34),
    }
)


@dataclass(frozen=True, slots=True)
class Findings:
    """One value for each fact of `FACTS`.

    Raises:
        ValueError: a value is not one of its fact's values.
    """

    device: str
    opacity: str
    effusion: str
    pneumothorax: str
    heart: str
    bones: str

    def __post_init__(self) -> None:
        """Refuse a value that its fact does not have."""
        for field in fields(self):
            value = getattr(self, field.name)
            if value not in FACTS[field.name]:
                message = f"{field.name} cannot be {value!r}: choose one of {', '.join(FACTS[field.name])}"
                raise ValueError(message)

    @classmethod
    def normal(cls) -> Self:
        """Return the findings of a healthy chest: the first value of every fact."""
        return cls(**{fact: values[0] for fact, values in FACTS.items()})

    def as_dict(self) -> dict[str, str]:
        """Return fact -> value, in the order of `FACTS`."""
        return asdict(self)

    def is_normal(self, fact: str) -> bool:
        """Tell whether `fact` has its normal value."""
        return bool(getattr(self, fact) == FACTS[fact][0])


def is_plausible(findings: Findings) -> bool:
    """Tell whether every finding of this combination would be visible beside the others.

    A large effusion hides a consolidation of the same lung base; a pneumothorax with a large effusion on its
    side is another disease; and a collapsed apex hides an upper lobe consolidation.
    """
    for side in ("right", "left"):
        large_effusion = findings.effusion == f"large_{side}"
        collapsed = findings.pneumothorax == side
        if large_effusion and (collapsed or findings.opacity in (f"{side}_lower", "bilateral_lower")):
            return False
        if collapsed and findings.opacity == f"{side}_upper":
            return False
    return True


def sample_findings(rng: np.random.Generator) -> Findings:
    """Draw plausible findings, most of them abnormal.

    Always answering `Findings.normal()` gets about 31 % of the facts right: a model must look at the image.
    """
    if rng.random() < NORMAL_STUDY_SHARE:
        return Findings.normal()
    while True:
        drawn = {fact: values[rng.choice(len(values), p=_WEIGHTS[fact])] for fact, values in FACTS.items()}
        findings = Findings(**drawn)
        if is_plausible(findings):
            return findings
