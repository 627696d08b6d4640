"""Person names (PS3.5 6.2.1), made comparable: systems write the same one in different ways."""

from __future__ import annotations

import re
import unicodedata


def comparable_group(group: str) -> str:
    """Return the words of one component group without case, separators and widths of letters."""
    folded = unicodedata.normalize("NFKC", group).casefold()
    return " ".join(re.split(r"[\^\s]+", folded)).strip()
