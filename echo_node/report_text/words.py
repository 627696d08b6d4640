"""Words of a text, as every metric of this package counts them."""

from __future__ import annotations

import re

_WORD = re.compile(r"\w+(?:['\u2019-]\w+)*")


def words(text: str) -> list[str]:
    """Return the words in lower case, without punctuation; a hyphen or apostrophe inside a word stays."""
    return _WORD.findall(text.casefold())
