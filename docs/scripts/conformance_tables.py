"""Write the tables of docs/reference/conformance.md, between their markers, from contexts.toml.

Run `python docs/scripts/conformance_tables.py --write`. Without --write the page is printed. A test compares
the page with the tables.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from echo_node.dicom.contexts import contexts
from echo_node.dicom.uids import IMPLEMENTATION_CLASS_UID

PAGE = Path(__file__).resolve().parents[1] / "reference" / "conformance.md"
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
        "received": _table(("SOP class", "UID", "Drafted from"), received),
        "transfer_syntaxes": _table(
            ("Transfer syntax, in order of preference", "UID"),
            [(each.name, each.uid) for each in known.transfer_syntaxes],
        ),
        "sent": _table(("SOP class", "UID"), [(each.name, each.uid) for each in known.sent]),
        "asked": _table(("SOP class", "UID"), [(known.query.name, known.query.uid)]),
        "implementation": _table(
            ("", ""),
            [
                ("Implementation Class UID", IMPLEMENTATION_CLASS_UID),
                ("Implementation Version Name", "`ECHO_NODE_` and the version"),
            ],
        ),
    }


def with_tables(document: str) -> str:
    """Return *document* with the present tables between its markers."""
    present = tables()
    return _MARKED.sub(lambda found: f"{found[1]}\n{present[found[2]]}\n{found[3]}", document)


def _table(heading: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [heading, tuple("---" for _ in heading), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


if __name__ == "__main__":
    page = with_tables(PAGE.read_text(encoding="utf-8"))
    if sys.argv[1:] == ["--write"]:
        PAGE.write_text(page, encoding="utf-8")
    else:
        print(page)
