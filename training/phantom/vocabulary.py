"""The words of the English reports; Chinese is written without spaces between words."""

from __future__ import annotations

from functools import cache

from training.metrics.words import words
from training.phantom.english import ENGLISH
from training.phantom.parser import finding_sentences


@cache
def vocabulary() -> frozenset[str]:
    """Return every word that an English report can hold, in lower case."""
    book = ENGLISH
    texts = [book.findings_header, book.impression_header, *finding_sentences("en")]
    texts += [*book.normal_impressions, *(text for group in book.alarms.values() for text in group)]
    texts += [
        each.text for names in (book.phrases, book.merged) for group in names.values() for each in group
    ]
    texts += [frame.format(*"012", be="is are") for group in book.frames.values() for frame in group]
    return frozenset(word for text in texts for word in words(text))
