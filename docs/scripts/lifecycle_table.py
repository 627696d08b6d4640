"""Write the table of docs/reference/lifecycle.md from the transitions in the code.

`python docs/scripts/lifecycle_table.py --write` or `--check`.
"""

from __future__ import annotations

import sys
from itertools import groupby

from generated_page import DOCS, between, run, table

from echo_node.domain.work.lifecycle import TRANSITIONS, StudyState

PAGE = DOCS / "reference" / "lifecycle.md"
BEGIN = "<!-- lifecycle: generated from echo_node/domain/work/lifecycle.py by `make diagram` -->\n"
END = "<!-- end of lifecycle -->\n"


def transitions() -> str:
    """Return the table of transitions in Markdown; the state is named in its first row only."""
    rows = [("", "first instance", "`receiving`")]
    order = list(StudyState)
    ordered = sorted(TRANSITIONS, key=lambda each: order.index(each.source))
    for state, group in groupby(ordered, lambda each: each.source):
        for number, each in enumerate(group):
            rows.append((f"`{state}`" if number == 0 else "", str(each.event), f"`{each.target}`"))
    return table(("State", "Event", "Next state"), rows)


def render(page: str) -> str:
    """Return the page with the present table between its markers."""
    return between(page, BEGIN, transitions(), END)


if __name__ == "__main__":
    sys.exit(run(PAGE, render, sys.argv[1:]))
