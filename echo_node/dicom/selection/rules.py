"""Words and codes by which a frontal chest radiograph is recognised, from selection.toml."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

from echo_node.dicom.selection.phrases import Negations, Phrases
from echo_node.errors import ConfigError
from echo_node.resources import packaged_folder

Code: TypeAlias = tuple[str, str]
"""Coding scheme designator and code value (PS3.3 8.1 and 8.2)."""

PA, AP, FRONTAL, LATERAL, RIB = "PA", "AP", "frontal", "lateral", "rib"
SPECIAL_VIEWS = ("decubitus", "lordotic", "oblique", RIB)
"""Views whose names can contain those of other views, as in "left lateral decubitus"."""
VIEWS = (PA, AP, FRONTAL, LATERAL, *SPECIAL_VIEWS)

_FRONTAL_VIEWS = (PA, AP, FRONTAL)
_SNOMED_RT = {"SRT", "SNM3", "99SDM"}


@dataclass(frozen=True, slots=True)
class ChestRules:
    """Evidence for the chest, and for other body parts.

    Attributes:
        body_parts: values of BodyPartExamined that mean the chest.
        no_body_part: values of BodyPartExamined without information.
        view_words: words that some systems write with the body part.
        named_parts: other body parts, which a reason may repeat.
        codes: codes of AnatomicRegionSequence that mean the chest.
        words: words of a text that name the chest.
        words_of_other_parts: words of a text that name another body part.
    """

    body_parts: frozenset[str]
    no_body_part: frozenset[str]
    view_words: frozenset[str]
    named_parts: frozenset[str]
    codes: frozenset[Code]
    words: Phrases
    words_of_other_parts: Phrases


@dataclass(frozen=True, slots=True)
class ViewRules:
    """Evidence for a view.

    Attributes:
        positions: views by values of ViewPosition.
        no_view: values of ViewPosition that state no view.
        codes: views by code.
        words: words of a text, by view.
    """

    positions: Mapping[str, str]
    no_view: frozenset[str]
    codes: Mapping[Code, str]
    words: Mapping[str, Phrases]


@dataclass(frozen=True, slots=True)
class CompanionRules:
    """Evidence for a kind of images that accompany the standard one.

    Attributes:
        name: name of the kind.
        reason: reason for a radiologist why such an image is not read.
        is_readable: whether it may be read in the absence of a standard image.
        unless_standard: whether a text that calls the image the standard one overrules the words,
            and names of protocols do not count.
        values: values of ImageType after the second, without separators.
        codes: codes that mean this kind.
        words: words of a text.
        not_beside: words beside which those words mean the procedure.
        in_procedures: whether the description of a procedure may name it.
    """

    name: str
    reason: str
    is_readable: bool
    unless_standard: bool
    values: frozenset[str]
    codes: frozenset[Code]
    words: Phrases
    not_beside: Phrases | None
    in_procedures: bool


@dataclass(frozen=True, slots=True)
class SelectionRules:
    """Everything in selection.toml.

    Attributes:
        chest: evidence for the chest.
        view: evidence for a view.
        companions: kinds of companion images; the first that fits counts.
        standard: words that call an image the standard one.
        procedures: words of the description of a procedure that has more than one image.
        labels: words that a label has in addition to all these.
    """

    chest: ChestRules
    view: ViewRules
    companions: tuple[CompanionRules, ...]
    standard: Phrases
    procedures: Phrases
    labels: Phrases


@cache
def selection_rules() -> SelectionRules:
    """Return the rules in selection.toml.

    Raises:
        ConfigError: the file is broken.
    """
    path = packaged_folder("dicom_config") / "selection.toml"
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        negations = Negations(table["negations"]["before"], table["negations"]["after"])
        companions = tuple(_companion(name, each, negations) for name, each in table["companions"].items())
        standard, procedures, labels = (
            Phrases(table[each]["words"], table[each]["parts_of_texts"])
            for each in ("standard", "procedures", "labels")
        )
        return SelectionRules(
            _chest(table["chest"]),
            _view(table["view"], negations),
            companions,
            standard,
            procedures,
            labels,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, re.error) as error:
        raise ConfigError(f"{path} cannot be used: {error}") from error


def coded(scheme: str, value: str) -> Code:
    """Return a code in one of the spellings that its scheme has (PS3.16 8)."""
    return ("SRT" if scheme in _SNOMED_RT else scheme, value)


def _chest(table: Mapping[str, Any]) -> ChestRules:
    return ChestRules(
        body_parts=frozenset(table["body_parts"]),
        no_body_part=frozenset(table["no_body_part"]) | {""},
        view_words=frozenset(table["view_words"]),
        named_parts=frozenset(table["named_parts"]),
        codes=frozenset(map(_code, table["codes"])),
        words=Phrases(table["words"], table["parts_of_texts"]),
        words_of_other_parts=Phrases(table["words_of_other_parts"], table["parts_of_other_texts"]),
    )


def _view(table: Mapping[str, Any], negations: Negations) -> ViewRules:
    for kind in ("positions", "codes", "words", "parts_of_texts"):
        if unknown := table[kind].keys() - {*VIEWS, *(["none"] if kind == "positions" else [])}:
            raise ValueError(f"[view.{kind}] names '{min(unknown)}', which is not one of {', '.join(VIEWS)}")
    positions, parts = table["positions"], table["parts_of_texts"]
    return ViewRules(
        positions={value: view for view, values in positions.items() for value in values if view != "none"},
        no_view=frozenset(positions["none"]),
        codes={_code(code): view for view, codes in table["codes"].items() for code in codes},
        words={
            view: Phrases(words, parts.get(view, ()), negations if view not in _FRONTAL_VIEWS else None)
            for view, words in table["words"].items()
        },
    )


def _companion(name: str, table: Mapping[str, Any], negations: Negations) -> CompanionRules:
    beside = table.get("not_beside")
    return CompanionRules(
        name=name,
        reason=str(table["reason"]),
        is_readable=bool(table.get("readable", False)),
        unless_standard=bool(table.get("unless_standard", False)),
        values=frozenset(table["values"]),
        codes=frozenset(map(_code, table.get("codes", ()))),
        words=Phrases(table["words"], table["parts_of_texts"], negations),
        not_beside=Phrases(beside) if beside else None,
        in_procedures=bool(table.get("in_procedures", False)),
    )


def _code(pair: Iterable[str]) -> Code:
    scheme, value = pair
    return coded(str(scheme), str(value))
