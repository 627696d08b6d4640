"""Words and codes by which a frontal chest radiograph is recognised, from selection.toml."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

from echo_node.errors import ConfigError
from echo_node.resources import packaged_folder

Code: TypeAlias = tuple[str, str]
"""Coding scheme designator and code value (PS3.3 8.1 and 8.2)."""

PA, AP, FRONTAL, LATERAL = "PA", "AP", "frontal", "lateral"
_VIEWS = (PA, AP, FRONTAL, LATERAL, "oblique", "decubitus")


@dataclass(frozen=True, slots=True)
class ChestRules:
    """Evidence for the chest, and for other body parts.

    Attributes:
        body_parts: values of BodyPartExamined that mean the chest.
        no_body_part: values of BodyPartExamined without information.
        view_words: words that some systems append to the body part.
        named_parts: other body parts, which a reason may repeat.
        codes: codes of AnatomicRegionSequence that mean the chest.
        words: pattern of a text that names the chest.
        words_of_other_parts: pattern of a text that names another body part.
    """

    body_parts: frozenset[str]
    no_body_part: frozenset[str]
    view_words: frozenset[str]
    named_parts: frozenset[str]
    codes: frozenset[Code]
    words: re.Pattern[str]
    words_of_other_parts: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class ViewRules:
    """Evidence for a view: values of ViewPosition, codes of ViewCodeSequence, words in texts."""

    positions: Mapping[str, str]
    codes: Mapping[Code, str]
    words: Mapping[str, re.Pattern[str]]


@dataclass(frozen=True, slots=True)
class SelectionRules:
    """Everything in selection.toml."""

    chest: ChestRules
    view: ViewRules


@cache
def selection_rules() -> SelectionRules:
    """Return the rules in selection.toml.

    Raises:
        ConfigError: the file is broken.
    """
    path = packaged_folder("dicom_config") / "selection.toml"
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        return SelectionRules(_chest(table["chest"]), _view(table["view"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, re.error) as error:
        raise ConfigError(f"{path} cannot be used: {error}") from error


def _chest(table: Mapping[str, Any]) -> ChestRules:
    return ChestRules(
        body_parts=frozenset(table["body_parts"]),
        no_body_part=frozenset(table["no_body_part"]) | {""},
        view_words=frozenset(table["view_words"]),
        named_parts=frozenset(table["named_parts"]),
        codes=frozenset(map(_code, table["codes"])),
        words=_pattern(table["words"], table["parts_of_texts"]),
        words_of_other_parts=_pattern(table["words_of_other_parts"]),
    )


def _view(table: Mapping[str, Any]) -> ViewRules:
    for kind in ("positions", "codes", "words"):
        if unknown := table[kind].keys() - set(_VIEWS):
            raise ValueError(f"[view.{kind}] names '{min(unknown)}', which is not one of {', '.join(_VIEWS)}")
    return ViewRules(
        positions={value: view for view, values in table["positions"].items() for value in values},
        codes={_code(code): view for view, codes in table["codes"].items() for code in codes},
        words={view: _pattern(words) for view, words in table["words"].items()},
    )


def _code(pair: Iterable[str]) -> Code:
    scheme, value = pair
    return str(scheme), str(value)


def _pattern(words: Iterable[str], anywhere: Iterable[str] = ()) -> re.Pattern[str]:
    """Return a pattern of whole words, and of others anywhere, in a case-folded text."""
    letter = r"[^\W\d_]"
    whole = f"(?<!{letter})(?:{'|'.join(words)})(?!{letter})"
    return re.compile("|".join((whole, *anywhere)))
