"""Soundness of a model's text: it must be complete plain text without loops to become a draft.

The node makes no draft from an unsound text. The operator sees the reason, which never quotes the
text.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from echo_node.report_text.draft_sections import Sections, Span

_SPECIAL = re.compile(r"<\|[^|<>\s]{1,40}\|>|<\uff5c[^\uff5c<>]{1,40}\uff5c>")
_MARKUP = re.compile(r"</?[A-Za-z][A-Za-z0-9]{0,15}(?:\s[^<>]{0,200})?/?>")
_LOST = "\ufffd"
_TOO_OFTEN = 3
_REPEATED = re.compile(r"(?P<phrase>\S(?:.{0,58}?\S))(?:\s{0,4}(?P=phrase)){3}", re.DOTALL)
_LIST_NUMBER = re.compile(r"^\W*(?:\d{1,2}[.)）、．](?!\d)\s*)?")  # noqa: RUF001 - full width is meant
_BREAKS_OFF = re.compile(
    r"(?:[,，、:：(（\[/]|[^\W\d_]-"  # noqa: RUF001
    r"|(?:^|\s)(?:a|an|and|are|at|by|for|from|in|is|of|on|or|the|to|was|were|with|without))\Z"
)


def why_unsound(text: str, sections: Sections) -> str | None:
    """Return the reason to make no draft from *text*, for the operator; None if it is sound.

    Args:
        text: text of the model, without the special tokens of its vocabulary.
        sections: sections of the same text.
    """
    if lost := sum(_is_lost(character) for character in text):
        # The lost character may be part of a "not": no sentence of such a text is reliable.
        return f"the model wrote broken characters ({lost} of {len(text)})"
    if _SPECIAL.search(text):
        return "the model wrote a special token in its text"
    if _MARKUP.search(text):
        return "the model wrote markup instead of plain text"
    if not sections.findings and not sections.impression:
        return "the model wrote an empty report"
    if _repeats_a_phrase(text) or any(map(_repeats_a_sentence, (sections.findings, sections.impression))):
        return "the model repeats itself"
    if any(_BREAKS_OFF.search(each[-1].text) for each in (sections.findings, sections.impression) if each):
        return "the model ended its text in the middle of a sentence"
    return None


def _is_lost(character: str) -> bool:
    return character == _LOST or "\ud800" <= character <= "\udfff"


def _repeats_a_sentence(spans: Sequence[Span]) -> bool:
    counts = Counter(_LIST_NUMBER.sub("", span.text).rstrip(".。;； ").casefold() for span in spans)  # noqa: RUF001
    return any(count >= _TOO_OFTEN for count in counts.values())


def _repeats_a_phrase(text: str) -> bool:
    """Return whether words or Han characters occur four times in a row with nothing between."""
    return any(
        any(character.isalpha() for character in match["phrase"]) for match in _REPEATED.finditer(text)
    )
