"""Vocabulary of the English phantom reports; Chinese has no spaces between words."""

from __future__ import annotations

from functools import cache

from echo_node.report_text.words import words
from training.phantom.language.english import ENGLISH
from training.phantom.language.parser import finding_sentences, impression_sentences


@cache
def vocabulary() -> frozenset[str]:
    """Return every word that an English phantom report can contain, in lower case."""
    headers = (ENGLISH.findings_header, ENGLISH.impression_header)
    texts = (*headers, *finding_sentences("en"), *impression_sentences("en"))
    return frozenset(word for text in texts for word in words(text))
