"""Write the tables of docs/reference/conformance.md, between their markers, from contexts.toml.

`python docs/scripts/conformance_tables.py --write` or `--check`.
"""

from __future__ import annotations

import re
import sys

from generated_page import DOCS, run, table

from echo_node.dicom.contexts import contexts
from echo_node.dicom.uids import IMPLEMENTATION_CLASS_UID

PAGE = DOCS / "reference" / "conformance.md"
_MARKED = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def tables() -> dict[str, str]:
    """Return each table in Markdown by the name in its marker."""
    known = contexts()
    received = [
        (each.name, each.uid, "yes" if each.drafted else f"stored, left unread: {each.unread_reason}")
        for each in known.storage
    ]
    received.append((known.verification.name, known.verification.uid, "(C-ECHO)"))
    return {
        "received": table(("SOP class", "UID", "Drafted from"), received),
        "transfer_syntaxes": table(
            ("Transfer syntax, in order of preference", "UID"),
            [(each.name, each.uid) for each in known.transfer_syntaxes],
        ),
        "sent": table(("SOP class", "UID"), [(each.name, each.uid) for each in known.sent]),
        "asked": table(("SOP class", "UID"), [(known.query.name, known.query.uid)]),
        "implementation": table(
            ("", ""),
            [
                ("Implementation Class UID", IMPLEMENTATION_CLASS_UID),
                ("Implementation Version Name", "`ECHO_NODE_` and the version"),
            ],
        ),
    }


def render(document: str) -> str:
    """Return *document* with the present tables between its markers."""
    present = tables()
    return _MARKED.sub(lambda found: f"{found[1]}\n{present[found[2]]}\n{found[3]}", document)


if __name__ == "__main__":
    sys.exit(run(PAGE, render, sys.argv[1:]))
