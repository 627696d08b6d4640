"""Closed classes of English words, and the pairs of words that no sentence contains.

These lists are complete, unlike those of sentence_words.toml: English gets no new articles. A word
of neither is never part of an impossible pair.
"""

from __future__ import annotations

from collections.abc import Set

from echo_node.report_text.english_words import EnglishWords, word_set

ARTICLES = frozenset({"a", "an", "the"})
BE = frozenset({"is", "are", "was", "were"})
HAVE = frozenset({"has", "have", "had"})
MODALS = word_set("may might could can should would will must cannot shall")
FINITE = (BE | HAVE | MODALS) - {"had"}
CONJUNCTIONS = frozenset({"and", "or", "but", "nor"})
PREPOSITIONS = word_set("of in on with at for from to by into within without")
LONG_PREPOSITIONS = word_set(
    "between through throughout along against among during onto toward towards upon via"
)
SUBJECTS = word_set("it they there he she we which who")
CONNECTORS = CONJUNCTIONS | word_set("""
    that which who whom where when while as if because since although though than what whatever whether
    whereas however until unless how why so felt believed thought feel believe think possible suspected likely
    unlikely clear note notes suggest suggests suggesting suspect see""")
"""Words after which a clause may have a second finite verb."""
RELATIVE = frozenset({"that", "which", "what", "where", "who"})
"""Words after which a clause may have any number of finite verbs."""
FRONTED = (
    PREPOSITIONS
    | LONG_PREPOSITIONS
    | word_set("""as if while when since although though because compared given after before above below once
        until""")
)
"""Words that begin an adverbial, after which the subject may follow without a comma."""

_ADVERBIAL = word_set("seen noted identified evident unremarkable appreciated")
_ORGANS = word_set("heart lung lungs mediastinum silhouette trachea diaphragm aorta chest")
_WHOLE_ORGANS = _ORGANS - {"lung", "chest", "heart"}
"""Organs that are not the first word of a compound: "lung nodule"."""
_AFTER_PREPOSITION = {
    "of": "to at",
    "in": "from for to with at by on",
    "on": "to with from at for in",
    "with": "at",
    "at": "to",
    "for": "at in on with",
    "from": "within in on with at",
    "to": "within on by for",
    "by": "at in to",
    "into": "",
    "within": "at",
    "without": "",
}
"""Prepositions that may follow a preposition: "in from the side", "referred to on"."""


def can_follow(first: str, second: str, words: EnglishWords) -> bool:
    """Return whether *second* may follow *first* without a punctuation mark between them.

    Both are in lower case.
    """
    return second not in _never_after(first, words) and not (first in MODALS and words.is_noun(second))


def _never_after(first: str, words: EnglishWords) -> Set[str]:
    """Return the words that never follow *first*."""
    if first in PREPOSITIONS:
        return (FINITE | PREPOSITIONS | _ADVERBIAL | {"there"}) - set(_AFTER_PREPOSITION[first].split())
    if first in ARTICLES:
        return ARTICLES | FINITE | PREPOSITIONS | LONG_PREPOSITIONS | CONJUNCTIONS | SUBJECTS | {"no", "been"}
    if first in BE or first == "been":
        return FINITE | {"had", "and", "or", "that"} | words.transitive | words.verbs
    if first in MODALS:
        return _never_after_modals(words)
    if first in HAVE:
        return BE | MODALS | {"has", "have", "of", "and", "or"}
    if first in words.attributive:
        return _never_after_attributive(words)
    if first in words.conditions:
        return words.attributive | _ORGANS
    if first in _WHOLE_ORGANS:
        return words.attributive | {"focal", "acute", "degenerative", "chronic", "patchy"}
    if first in words.transitive:
        return FINITE | {"of"}
    return _NEVER_AFTER.get(first, frozenset())


def _never_after_modals(words: EnglishWords) -> Set[str]:
    """Return the words that cannot follow "may": all but plain verbs and adverbs."""
    closed = BE | MODALS | {"has", "had", "no"} | ARTICLES | CONJUNCTIONS | PREPOSITIONS | LONG_PREPOSITIONS
    return closed | words.transitive | (words.predicates - {"clear", "present", "evident"})


def _never_after_attributive(words: EnglishWords) -> Set[str]:
    """Return the words that cannot follow "pleural": those that a noun must precede."""
    closed = ARTICLES | FINITE | SUBJECTS | LONG_PREPOSITIONS | (PREPOSITIONS - {"in"}) | {"no"}
    states = words.predicates - {"normal", "enlarged", "present", "elevated", "depressed"}
    return closed | states | words.transitive


_NEVER_AFTER = {
    **dict.fromkeys(CONJUNCTIONS, CONJUNCTIONS),
    "no": ARTICLES | FINITE | PREPOSITIONS | LONG_PREPOSITIONS | CONJUNCTIONS | {"no", "there"},
    "not": FINITE,
    "normal": frozenset({"enlarged", "not"}),
    "be": FINITE | {"and", "or"},
    "consistent": ARTICLES | FINITE | {"of", "on", "from", "no"},
    "compatible": ARTICLES | FINITE | {"of", "on", "from", "no"},
    "due": ARTICLES | FINITE | {"of", "on", "with"},
}
