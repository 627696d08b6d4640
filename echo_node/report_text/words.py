"""Words of a text, as the garble measure and the evaluation of training count them."""

from __future__ import annotations

import re

_WORD = re.compile(r"\w+(?:['\u2019-]\w+)*")


def words(text: str) -> list[str]:
    """Return the words in lower case, without punctuation; an inner hyphen or apostrophe stays."""
    return _WORD.findall(text.casefold())
