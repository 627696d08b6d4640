"""Write or check the lifecycle diagram of docs/explanation/architecture.md.

`python docs/scripts/lifecycle_diagram.py --write` or `--check`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from echo_node.domain.work.lifecycle import mermaid

PAGE = Path(__file__).resolve().parents[1] / "explanation" / "architecture.md"
BEGIN = "<!-- lifecycle: generated from echo_node/domain/work/lifecycle.py by `make diagram` -->\n"
END = "<!-- end of lifecycle -->\n"


def with_diagram(page: str) -> str:
    """Return the page with the diagram between its marks as the table has it.

    Raises:
        ValueError: the page lacks a mark.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page needs the lines {BEGIN!r} and {END!r}")
    return f"{before}{BEGIN}```mermaid\n{mermaid()}```\n{END}{after}"


def main(arguments: list[str]) -> int:
    """Write or check the page; return the exit code."""
    page = PAGE.read_text(encoding="utf-8")
    current = with_diagram(page)
    if arguments == ["--write"]:
        PAGE.write_text(current, encoding="utf-8")
    elif arguments != ["--check"]:
        sys.stderr.write(__doc__ or "")
        return 2
    elif current != page:
        sys.stderr.write("docs/explanation/architecture.md is not up to date: run `make diagram`\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
