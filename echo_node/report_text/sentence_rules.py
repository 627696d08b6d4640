"""Rules of the sentence check: each finds one kind of broken form in an English sentence.

A rule refers to the words of sentence_words.toml and to the closed classes of english_grammar.py. A
word of neither may be anywhere. Reports are telegraphic: a verb or an article may be missing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from types import MappingProxyType

from echo_node.report_text.english_grammar import (
    ARTICLES,
    BE,
    CONJUNCTIONS,
    CONNECTORS,
    FINITE,
    FRONTED,
    HAVE,
    MODALS,
    PREPOSITIONS,
    RELATIVE,
    can_follow,
)
from echo_node.report_text.english_words import EnglishWords, english_words, word_set

_TOKEN = re.compile(r"(?P<word>[^\W_]+(?:[-'’./&+][^\W_]+)*)|(?P<mark>\.{2,}|[^\w\s])")  # noqa: RUF001
_CAPITALISED = re.compile(r"[A-Z][a-z]+(?:'s)?\Z|A\Z")
_BLANKED = re.compile(r"(?:x-)?x{3,}(?:-\w+)*\Z")
_OPENING = frozenset(':;"“‘([{<*/=>#•-–—.?!')  # noqa: RUF001
"""Marks after which a capital can begin a heading, an item of a list or a quotation."""
_LETTERED = word_set(
    "hepatitis type vitamin kerley level stage group class grade zone figure influenza part line"
)
"""Words after which a single A is a name."""
_MAY_REPEAT = frozenset({"had", "that", "very"})
_LONGEST_PHRASE = 6
_LONG_WORD = 4
_THERE_IS_SEEN = 3
_STUTTER = re.compile(r"([a-z]{3,})\1")
_INNER_CAPITAL = re.compile(r"(?P<first>[A-Za-z][a-z]+)(?P<second>[A-Z][a-z]+)\Z")
_STOPS = frozenset(".,;:")
_STRAY_MARKS = re.compile(r"(?: \.\.| [.,;:] [.,;:]) [a-z]")
_MAY_END = frozenset({"in", "on"})
_NOT_PREDICATE = frozenset({"clear", "normal", "present", "negative"})
"""Words that can be nouns after an article, or the beginning of a phrase."""
_AFTER_PREDICATE = frozenset({"noted", "demonstrated", "identified", "present", "detected"})
"""Words after which an object can follow: "we identified the tube"."""
_AFTER_THERE = FINITE | word_set("""
    had appear appears appeared seem seems seemed remain remains remained exist exists continues continue
    persists persist also now again still likely probably developed develop been be to otherwise currently
    previously definitely clearly certainly does do did isn't aren't wasn't appearing being""")


@dataclass(frozen=True)
class Tokens:
    """A sentence as words and punctuation marks.

    Attributes:
        texts: the words and marks, without white space.
        words: lists of English words.
    """

    texts: tuple[str, ...]
    words: EnglishWords

    @cached_property
    def clauses(self) -> tuple[tuple[str, ...], ...]:
        """Runs of words in lower case between two punctuation marks, or blanked words.

        A name keeps its capital: "May" is not "may".
        """
        found: list[list[str]] = [[]]
        for at, text in enumerate(self.texts):
            if not _is_word(text) or _BLANKED.match(text.lower()):
                found.append([])
            else:
                is_name = at > 0 and (text == "A" or (text.istitle() and text.lower() in self.words.names))
                found[-1].append(text if is_name else text.replace("’", "'").lower())  # noqa: RUF001
        return tuple(tuple(clause) for clause in found if clause)

    @cached_property
    def last(self) -> str:
        """The last word in lower case; empty if more than a stop follows it."""
        at = len(self.texts)
        while at and self.texts[at - 1] in _STOPS | {"?", "!", ".."}:
            at -= 1
        return self.texts[at - 1].lower() if at and _is_word(self.texts[at - 1]) else ""


def tokens_of(sentence: str) -> Tokens:
    """Return the words and marks of a sentence."""
    return Tokens(tuple(match[0] for match in _TOKEN.finditer(sentence)), english_words())


def _is_word(text: str) -> bool:
    return text[0].isalnum()


def _has_stray_capital(tokens: Tokens) -> bool:
    """Return whether a common word within the sentence has a capital, outside a title.

    A capitalised word that is in no list is taken for a name.
    """
    texts = (*tokens.texts, ".")
    inner = [
        (before, text, after)
        for before, text, after in zip(texts, texts[1:], texts[2:], strict=False)
        if text[0].isalpha() and before not in _OPENING and after != ":"
    ]
    is_title = all(text[0].isupper() for _, text, _ in inner if len(text) >= _LONG_WORD)
    return not is_title and any(_is_stray(before, text, tokens.words) for before, text, _ in inner)


def _is_stray(before: str, text: str, words: EnglishWords) -> bool:
    if not _CAPITALISED.match(text) or _BLANKED.match(before.lower()):
        return False
    if text == "A":
        return before.lower() not in _LETTERED | {",", "and"}
    return text.lower() not in words.names and words.is_known(text.lower())


def _repeats(tokens: Tokens) -> bool:
    """Return whether one to six words are followed by the same words."""
    return any(
        _is_repeated(clause[at : at + length], clause[at + length : at + 2 * length])
        for clause in tokens.clauses
        for at in range(len(clause))
        for length in range(1, _LONGEST_PHRASE + 1)
    )


def _is_repeated(phrase: Sequence[str], following: Sequence[str]) -> bool:
    if (
        len(phrase) == len(following) == 1
        and phrase[0] + "s" == following[0]
        and len(phrase[0]) >= _LONG_WORD
    ):
        return True
    return phrase == following and any(word.isalpha() and word not in _MAY_REPEAT for word in phrase)


def _breaks_off(tokens: Tokens) -> bool:
    """Return whether the last word needs another one after it."""
    words = tokens.words
    closed = ARTICLES | BE | HAVE | MODALS | CONJUNCTIONS | (PREPOSITIONS - _MAY_END) | {"no", "which"}
    return tokens.last in closed | words.attributive | words.transitive | words.incomplete


def _has_broken_word(tokens: Tokens) -> bool:
    """Return whether a word is cut off, repeats a part of itself, or is two words in one."""
    return any(_is_broken(text, tokens.words) for text in tokens.texts if text.isalpha() and text.isascii())


def _is_broken(text: str, words: EnglishWords) -> bool:
    glued = _INNER_CAPITAL.match(text)
    if glued:
        return words.is_known(glued["first"].lower()) and words.is_known(glued["second"].lower())
    if not text.islower() or words.is_known(text) or text in words.abbreviations:
        return False
    return text in words.beginnings or _STUTTER.search(text) is not None


def _has_impossible_pair(tokens: Tokens) -> bool:
    """Return whether a word follows one that it cannot follow."""
    return not all(
        can_follow(first, second, tokens.words)
        for clause in tokens.clauses
        for first, second in pairwise(clause)
    )


def _has_phrase_without_noun(tokens: Tokens) -> bool:
    """Return whether an article introduces adjectives only: "a moderate is", "the upper."."""
    return any(
        _lacks_noun(clause[at + 1 :], tokens)
        for clause in tokens.clauses
        for at, word in enumerate(clause)
        if word in ARTICLES | {"no"}
    )


def _lacks_noun(phrase: Sequence[str], tokens: Tokens) -> bool:
    """Return whether a phrase after an article has only adjectives before its verb or end."""
    words = tokens.words
    adjectives = words.graded | words.attributive | (words.predicates - _NOT_PREDICATE)
    ends = (at for at, word in enumerate(phrase) if word not in adjectives | {"right", "left"})
    end = next(ends, len(phrase))
    if end == 0 or phrase[end - 1] not in adjectives:
        return False
    if end == len(phrase):
        return phrase[-1] == tokens.last
    return phrase[end] in FINITE | ARTICLES | {"there", "at", "with", "no"}


def _has_stray_there(tokens: Tokens) -> bool:
    """Return whether a clause with "there" lacks a verb, or a subject ("there is seen.")."""
    return any(
        _is_stray_there(clause[at:], tokens)
        for clause in tokens.clauses
        for at, word in enumerate(clause)
        if word == "there" and (at == 0 or clause[at - 1] in CONNECTORS)
    )


def _is_stray_there(clause: Sequence[str], tokens: Tokens) -> bool:
    """Return whether "there" is stray, given the words from it on.

    "There no effusion", in which a person has left out the verb, passes.
    """
    words = tokens.words
    after, following = (*clause[1:3], "", "")[:2]
    if after in BE:
        return len(clause) == _THERE_IS_SEEN and following in words.predicates and following == tokens.last
    if words.is_noun(after):
        return following in BE
    return words.is_known(after) and after not in _AFTER_THERE | {"no", "there"} | words.graded


def _has_two_clauses(tokens: Tokens) -> bool:
    """Return whether a second clause begins without a conjunction or a mark."""
    return any(_has_two_verbs(clause) or _has_two_subjects(clause, tokens.words) for clause in tokens.clauses)


def _has_two_verbs(clause: Sequence[str]) -> bool:
    """Return whether two finite verbs have no connector between them: "is normal lungs are"."""
    verbs = -1 if clause[0] in FRONTED else 0
    for word in clause:
        if word in RELATIVE or verbs > 1:
            break
        verbs = min(verbs, 0) if word in CONNECTORS else verbs + (word in BE | MODALS)
    return verbs > 1


def _has_two_subjects(clause: Sequence[str], words: EnglishWords) -> bool:
    """Return whether a subject with a verb follows a complete clause: "normal the lungs are"."""
    return clause[0] not in FRONTED and any(
        (before in words.predicates - _AFTER_PREDICATE or words.is_noun(before))
        and RELATIVE.isdisjoint(clause[at + 1 :])
        and (after == "there" or (after in ARTICLES | {"no"} and not FINITE.isdisjoint(clause[at + 1 :])))
        for at, (before, after) in enumerate(pairwise(clause))
    )


def _has_stray_mark(tokens: Tokens) -> bool:
    """Return whether two stops or commas in a row are followed by more of the sentence."""
    return _STRAY_MARKS.search(" ".join(tokens.texts)) is not None


RULES: Mapping[str, Callable[[Tokens], bool]] = MappingProxyType(
    {
        "a capital that begins no name": _has_stray_capital,
        "repeated words": _repeats,
        "an end in the middle of a phrase": _breaks_off,
        "a word that is cut off or glued to another": _has_broken_word,
        "two words that cannot follow one another": _has_impossible_pair,
        "an article without a noun": _has_phrase_without_noun,
        "'there' without a verb": _has_stray_there,
        "two clauses without a conjunction": _has_two_clauses,
        "two punctuation marks in a row": _has_stray_mark,
    }
)
"""Rules by the reason that they give, in the order in which they are asked."""
