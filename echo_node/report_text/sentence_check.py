"""Check of sentences: whether fragments of other sentences are in one, without a reference.

Block-diffusion decoding commits the tokens of a block independently, so that a block can mix two
wordings: "is present on There right". The check judges the form of a sentence only. It knows
English. Sentences in other languages pass, and so does the telegraphic style of real reports: "No
pneumothorax." The model's checkpoint states the language of its reports.

A reason never quotes the sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from echo_node.report_text.draft_sections import Sections, Span
from echo_node.report_text.sentence_rules import RULES, Tokens, tokens_of

_Rule = Callable[[Tokens], bool]


@dataclass(frozen=True, slots=True)
class DoubtfulSentence:
    """A sentence that may be garbled.

    Attributes:
        span: the sentence and its place in the text.
        reason: what is wrong with its form; it quotes nothing.
    """

    span: Span
    reason: str


def doubtful_sentences(sections: Sections, language: str) -> tuple[DoubtfulSentence, ...]:
    """Return the sentences that may be garbled, findings first.

    Args:
        sections: sections of the text.
        language: language of the text (RFC 5646).
    """
    return tuple(_doubtful((*sections.findings, *sections.impression), language))


def why_doubtful(sentence: str, language: str) -> str | None:
    """Return the fault in the form of a sentence; None if it is sound or not English."""
    if language.partition("-")[0].lower() != "en":
        return None
    tokens = tokens_of(sentence)
    return next((reason for reason, is_broken in RULES.items() if is_broken(tokens)), None)


def _doubtful(spans: tuple[Span, ...], language: str) -> Iterator[DoubtfulSentence]:
    for span in spans:
        if reason := why_doubtful(span.text, language):
            yield DoubtfulSentence(span, reason)
