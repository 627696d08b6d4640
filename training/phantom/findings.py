"""Findings of a phantom study: facts with closed lists of values, and the patient.

The truth is drawn first (`prevalence`). Images (`radiograph`) and reports (`grammar`) are both made
from it. A finding that can occur on either side is two facts, one per side, so that "bilateral" is
only a matter of wording.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, Self, get_args

Side = Literal["right", "left"]
Sex = Literal["F", "M"]
Habitus = Literal["slim", "average", "large"]
FrontalView = Literal["PA", "AP"]
View = Literal["PA", "AP", "LATERAL"]
Kind = Literal[
    "endotracheal_tube",
    "gastric_tube",
    "central_line",
    "pacemaker",
    "consolidation",
    "atelectasis",
    "nodule",
    "oedema",
    "hyperinflation",
    "effusion",
    "pneumothorax",
    "cardiomegaly",
    "rib_fracture",
]

SIDES: tuple[Side, ...] = get_args(Side)
CLASSES: tuple[Kind, ...] = get_args(Kind)
"""Classes of findings, in reading order."""

_EFFUSION = ("none", "small", "moderate", "large")
_PNEUMOTHORAX = ("none", "small", "large")
_FRACTURE = ("none", "present")
_ZONES = ("upper", "middle", "lower")

FACTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "endotracheal_tube": ("none", "satisfactory", "high", "right_bronchus"),
        "gastric_tube": ("none", "stomach", "oesophagus", "right_bronchus"),
        "central_line": ("none", "right_svc", "left_svc", "right_atrium", "left_atrium"),
        "pacemaker": ("none", "left_single", "left_dual", "right_single", "right_dual"),
        "consolidation_right": ("none", "upper", "middle", "lower"),
        "consolidation_left": ("none", "upper", "lingula", "lower"),
        "atelectasis_right": ("none", "linear", "upper_lobe"),
        "atelectasis_left": ("none", "linear", "lower_lobe"),
        "nodule": (
            "none",
            *(f"{side}_{zone}_{size}" for side in SIDES for zone in _ZONES for size in ("nodule", "mass")),
        ),
        "oedema": ("none", "interstitial", "alveolar"),
        "hyperinflation": ("none", "present"),
        "effusion_right": _EFFUSION,
        "effusion_left": _EFFUSION,
        "pneumothorax_right": _PNEUMOTHORAX,
        "pneumothorax_left": _PNEUMOTHORAX,
        "heart": ("normal", "mildly_enlarged", "markedly_enlarged"),
        "rib_fracture_right": _FRACTURE,
        "rib_fracture_left": _FRACTURE,
    }
)
"""Facts with their values, in reading order; the first value of each is the normal one.

The value of a central line states the side of the vein and the position of the tip (`atrium` is too
deep). The value of a pacemaker states the side of the generator and the number of leads.
"""

REGIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "devices": ("endotracheal_tube", "gastric_tube", "central_line", "pacemaker"),
        "lungs": (
            "consolidation_right",
            "consolidation_left",
            "atelectasis_right",
            "atelectasis_left",
            "nodule",
            "oedema",
            "hyperinflation",
        ),
        "pleura": ("effusion_right", "effusion_left", "pneumothorax_right", "pneumothorax_left"),
        "heart": ("heart",),
        "bones": ("rib_fracture_right", "rib_fracture_left"),
    }
)
"""Regions of a report in their fixed order, with their facts; every fact is in exactly one."""

MALPOSITIONS = frozenset(
    {
        ("endotracheal_tube", "high"),
        ("endotracheal_tube", "right_bronchus"),
        ("gastric_tube", "oesophagus"),
        ("gastric_tube", "right_bronchus"),
        ("central_line", "right_atrium"),
        ("central_line", "left_atrium"),
    }
)
"""Facts with values that mean that a device is malpositioned."""


@dataclass(frozen=True, slots=True)
class Patient:
    """Patient and examination.

    Attributes:
        age: age in years.
        sex: sex of the patient.
        habitus: build of the patient.
        view: frontal view of the study; AP means a portable examination.
    """

    age: int = 55
    sex: Sex = "M"
    habitus: Habitus = "average"
    view: FrontalView = "PA"

    def __post_init__(self) -> None:
        """Check the age.

        Raises:
            ValueError: the age is not in the range 18 to 100.
        """
        if not 18 <= self.age <= 100:
            message = f"a patient of {self.age} years is not possible: choose an age from 18 to 100"
            raise ValueError(message)


@dataclass(frozen=True, slots=True)
class Finding:
    """One abnormality. Attributes that do not apply to its class are empty.

    Attributes:
        kind: class of the finding.
        side: side of the chest.
        place: lobe, zone, end of a vein, or position of the tip of a tube.
        size: size or degree.
        malposition: whether a device is malpositioned.
    """

    kind: Kind
    side: Side | Literal[""] = ""
    place: str = ""
    size: str = ""
    malposition: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """Findings of a study: the patient, and one value for each fact of `FACTS`.

    Raises:
        ValueError: a fact has a value that `FACTS` does not list.
    """

    patient: Patient = Patient()
    endotracheal_tube: str = "none"
    gastric_tube: str = "none"
    central_line: str = "none"
    pacemaker: str = "none"
    consolidation_right: str = "none"
    consolidation_left: str = "none"
    atelectasis_right: str = "none"
    atelectasis_left: str = "none"
    nodule: str = "none"
    oedema: str = "none"
    hyperinflation: str = "none"
    effusion_right: str = "none"
    effusion_left: str = "none"
    pneumothorax_right: str = "none"
    pneumothorax_left: str = "none"
    heart: str = "normal"
    rib_fracture_right: str = "none"
    rib_fracture_left: str = "none"

    def __post_init__(self) -> None:
        """Check that `FACTS` lists each value."""
        for fact, values in FACTS.items():
            if getattr(self, fact) not in values:
                message = f"{fact} cannot be {getattr(self, fact)!r}: choose one of {', '.join(values)}"
                raise ValueError(message)

    @classmethod
    def normal(cls, patient: Patient | None = None) -> Self:
        """Return the findings of a healthy chest: the first value of every fact."""
        return cls(patient=patient or Patient())

    def value(self, fact: str) -> str:
        """Return the value of a fact."""
        return str(getattr(self, fact))

    def as_dict(self) -> dict[str, str]:
        """Return the values by fact, in the order of `FACTS`."""
        return {fact: self.value(fact) for fact in FACTS}

    def is_normal(self, fact: str) -> bool:
        """Return whether `fact` has its normal value."""
        return self.value(fact) == FACTS[fact][0]

    @property
    def abnormal(self) -> tuple[str, ...]:
        """Facts with an abnormal value, in reading order."""
        return tuple(fact for fact in FACTS if not self.is_normal(fact))

    def found(self) -> tuple[Finding, ...]:
        """Return the abnormalities, in reading order; empty for a normal chest without devices."""
        return tuple(finding_of(fact, self.value(fact)) for fact in self.abnormal)


def kind_of(fact: str) -> Kind:
    """Return the class of finding of a fact."""
    name = "cardiomegaly" if fact == "heart" else fact.removesuffix("_right").removesuffix("_left")
    return next(kind for kind in CLASSES if kind == name)


def finding_of(fact: str, value: str) -> Finding:
    """Return the abnormality for an abnormal value of a fact."""
    kind, malposition = kind_of(fact), (fact, value) in MALPOSITIONS
    sided = _side(fact.rpartition("_")[2])
    if kind == "nodule":
        side, place, size = value.split("_")
        return Finding(kind, _side(side), place, size)
    if kind in ("central_line", "pacemaker"):
        side, _, rest = value.partition("_")
        place, size = (rest, "") if kind == "central_line" else ("", rest)
        return Finding(kind, _side(side), place, size, malposition)
    if kind in ("effusion", "pneumothorax"):
        return Finding(kind, sided, size=value)
    if kind in ("oedema", "cardiomegaly"):
        return Finding(kind, size=value.removesuffix("ly_enlarged"))
    if kind in ("hyperinflation", "rib_fracture"):
        return Finding(kind, sided)
    return Finding(kind, sided, value, malposition=malposition)


def _side(word: str) -> Side | Literal[""]:
    return next((side for side in SIDES if side == word), "")


def labels(findings: Findings) -> dict[Kind, bool]:
    """Return whether the study shows each class of finding, in the order of `CLASSES`."""
    shown = {finding.kind for finding in findings.found()}
    return {kind: kind in shown for kind in CLASSES}
