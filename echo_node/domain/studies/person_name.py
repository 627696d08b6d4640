"""Comparison of person names (PS3.5 6.2.1), which systems write in different ways."""

from __future__ import annotations

import re
import unicodedata


def comparable_group(group: str) -> str:
    """Return the words of a component group without case, separators and letter widths."""
    folded = unicodedata.normalize("NFKC", group).casefold()
    return " ".join(re.split(r"[\^\s]+", folded)).strip()
