"""Lists of English words for the check of sentences, from sentence_words.toml."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from functools import cache, cached_property

from echo_node.errors import ConfigError
from echo_node.resources import packaged_folder

_ENDINGS = (
    ("ies", "y"),
    ("es", ""),
    ("s", ""),
    ("ed", ""),
    ("ed", "e"),
    ("ing", ""),
    ("ing", "e"),
    ("ly", ""),
)
_SHORTEST_STEM = 3
_SHORTEST_PART = 4


def word_set(text: str) -> frozenset[str]:
    """Return the words between white space, in lower case."""
    return frozenset(text.lower().split())


@dataclass(frozen=True)
class EnglishWords:
    """Words by what they can do in a sentence; sentence_words.toml describes each list.

    All are in lower case.
    """

    names: frozenset[str]
    abbreviations: frozenset[str]
    nouns: frozenset[str]
    conditions: frozenset[str]
    attributive: frozenset[str]
    graded: frozenset[str]
    predicates: frozenset[str]
    transitive: frozenset[str]
    verbs: frozenset[str]
    incomplete: frozenset[str]
    adverbs: frozenset[str]
    common: frozenset[str]

    @cached_property
    def known(self) -> frozenset[str]:
        """All common words; not names and abbreviations."""
        return frozenset().union(
            self.nouns, self.attributive, self.graded, self.predicates, self.transitive,
            self.verbs, self.incomplete, self.adverbs, self.common,
        )  # fmt: skip

    @cached_property
    def beginnings(self) -> frozenset[str]:
        """Beginnings of all common words, without the words themselves."""
        return frozenset(
            word[:end] for word in self.known if word.isalpha() for end in range(_SHORTEST_PART, len(word))
        )

    def is_known(self, word: str) -> bool:
        """Return whether a word, or the word that it is a form of, is in a list of common words."""
        if word in self.known:
            return True
        return any(
            word.removesuffix(ending) + stem in self.known
            for ending, stem in _ENDINGS
            if word.endswith(ending) and len(word) - len(ending) >= _SHORTEST_STEM
        )

    def is_noun(self, word: str) -> bool:
        """Return whether a word is a noun of the list, or its plural."""
        if word in self.nouns:
            return True
        return any(
            word.endswith(ending) and word.removesuffix(ending) + stem in self.nouns
            for ending, stem in _ENDINGS[:3]
        )


@cache
def english_words() -> EnglishWords:
    """Return the lists in sentence_words.toml.

    Raises:
        ConfigError: the file is missing, or is not what it should be.
    """
    path = packaged_folder("dicom_config") / "sentence_words.toml"
    try:
        lists = tomllib.loads(path.read_text(encoding="utf-8"))
        names = [each.name for each in fields(EnglishWords)]
        return EnglishWords(**{name: word_set(lists.pop(name)) for name in names})
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise ConfigError(f"{path} lacks a list of words, or is not valid TOML") from error
