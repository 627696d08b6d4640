"""Output of commands: tables, text and JSON on standard output, error lines on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

STATE_STYLES = {
    "receiving": "cyan",
    "queued": "cyan",
    "drafting": "blue",
    "drafted": "blue",
    "delivered": "green",
    "pending": "cyan",
    "sending": "blue",
    "skipped": "yellow",
    "held": "bold yellow",
    "failed": "bold red",
    "undelivered": "bold red",
    "asking": "blue",
    "asked": "blue",
    "committed": "green",
    "settled": "blue",
    "answering": "blue",
    "answered": "green",
    "withdrawing": "blue",
    "withdrawn": "yellow",
    "preparing": "blue",
    "prepared": "green",
    "stopped": "yellow",
    "dead": "bold red",
}
"""Colour of each state. The word is printed too, so nothing is lost without a terminal."""


def console(*, stderr: bool = False) -> Console:
    """Return the console; it uses colours on a terminal only, and none if NO_COLOR is set."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, soft_wrap=True)


def complain(message: str) -> None:
    """Print an error line for the operator on standard error."""
    print(f"echo-node: {message}", file=sys.stderr)  # noqa: T201 - output of the command


def print_json(value: object) -> None:
    """Print *value* as indented JSON; text is not escaped to ASCII."""
    print(json.dumps(value, indent=2, ensure_ascii=False, default=str))  # noqa: T201 - output of the command


def styled_state(state: str) -> str:
    """Return the state as rich markup with its colour."""
    style = STATE_STYLES.get(state)
    return f"[{style}]{state}[/{style}]" if style else state


def escape(text: str | None) -> str:
    """Return a text in which rich finds no markup."""
    from rich.markup import escape as escaped

    return escaped(text or "")


def print_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, whole: str | None = None
) -> None:
    """Print a table.

    Args:
        title: line above the table; none if empty.
        columns: heads of the columns.
        rows: cells, which may contain rich markup.
        whole: column whose cells are never folded, so that they can be copied.
    """
    from rich import box
    from rich.table import Table

    table = Table(title=title or None, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column == whole)
    for row in rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    console().print(table, soft_wrap=False)
