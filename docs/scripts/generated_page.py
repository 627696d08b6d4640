"""Command line of the scripts that generate a page: write the page, or check that it is up to date.

Each script has a PAGE, and a function that turns the present text of the page into the text that it
should have. `--write` writes that text, `--check` compares it and ends with exit code 1 on a
difference, and without an option the text is printed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1]


def run(page: Path, render: Callable[[str], str], arguments: Sequence[str]) -> int:
    """Write, check or print a page. Return the exit code.

    Args:
        page: the page; before the first `--write` it may be missing, unless *render* needs it.
        render: returns the page as it should be, from its present text.
        arguments: the command line, without the script's name.
    """
    present = page.read_text(encoding="utf-8") if page.exists() else ""
    text = render(present)
    if list(arguments) == ["--write"]:
        page.write_text(text, encoding="utf-8")
    elif list(arguments) == ["--check"]:
        if text != present:
            sys.stderr.write(f"docs/{page.relative_to(DOCS)} is not up to date: run `make reference`\n")
            return 1
    elif arguments:
        sys.stderr.write("usage: [--write | --check]\n")
        return 2
    else:
        sys.stdout.write(text)
    return 0


def table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [heading, ["---"] * len(heading), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def cell(text: str) -> str:
    """Return *text* as it is written in a cell of a table: on one line, vertical bars escaped."""
    return " ".join(text.split()).replace("|", "&#124;")


def between(text: str, begin: str, content: str, end: str) -> str:
    """Return *text* with *content* between its lines *begin* and *end*.

    Raises:
        ValueError: the text lacks one of the lines.
    """
    before, found_begin, rest = text.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found_begin or not found_end:
        raise ValueError(f"the page needs the lines {begin!r} and {end!r}")
    return f"{before}{begin}\n{content}\n{end}{after}"
