"""Write the tables of docs/reference/lifecycle.md: transitions of a study, and kinds of work.

`python docs/scripts/lifecycle_table.py --write` or `--check`.
"""

from __future__ import annotations

import sys
from itertools import groupby

from generated_page import DOCS, between, run, table

from echo_node.domain.work.kinds import KINDS
from echo_node.domain.work.lifecycle import TRANSITIONS, StudyState

PAGE = DOCS / "reference" / "lifecycle.md"
BEGIN = "<!-- lifecycle: generated from echo_node/domain/work/lifecycle.py by `make diagram` -->\n"
END = "<!-- end of lifecycle -->\n"
WORK_BEGIN = "<!-- work: generated from echo_node/domain/work/kinds.py by `make diagram` -->\n"
WORK_END = "<!-- end of work -->\n"


def transitions() -> str:
    """Return the table of transitions in Markdown; the state is named in its first row only."""
    rows = [("", "first instance", "`receiving`")]
    order = list(StudyState)
    ordered = sorted(TRANSITIONS, key=lambda each: order.index(each.source))
    for state, group in groupby(ordered, lambda each: each.source):
        for number, each in enumerate(group):
            rows.append((f"`{state}`" if number == 0 else "", str(each.event), f"`{each.target}`"))
    return table(("State", "Event", "Next state"), rows)


def work() -> str:
    """Return the table of the kinds of work in Markdown."""
    rows = [
        (
            kind.name.singular.replace("-", " "),
            f"`{kind.id_of(7)}`",
            ", ".join(f"`{state}`" for state in kind.states),
            ", ".join(f"`{state}`" for state in kind.states if state in kind.finished),
        )
        for kind in KINDS.values()
    ]
    return table(("Kind", "Id", "States", "Finished"), rows)


def render(page: str) -> str:
    """Return the page with the present table between its markers."""
    page = between(page, BEGIN, transitions(), END)
    return between(page, WORK_BEGIN, work(), WORK_END)


if __name__ == "__main__":
    sys.exit(run(PAGE, render, sys.argv[1:]))
