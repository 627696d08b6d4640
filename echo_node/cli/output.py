"""What commands print: tables and text on standard output, complaints on standard error, JSON on request."""

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
"""A colour says what the word says too; without a terminal the words stand alone."""


def console(*, stderr: bool = False) -> Console:
    """Return the console; it writes no colours unless to a terminal, and none where NO_COLOR is set."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, soft_wrap=True)


def complain(message: str) -> None:
    """Print a line for the operator on standard error."""
    print(f"echo-node: {message}", file=sys.stderr)  # noqa: T201 - the console's own output


def print_json(value: object) -> None:
    """Print *value* as indented JSON, text in its own script."""
    print(json.dumps(value, indent=2, ensure_ascii=False, default=str))  # noqa: T201 - the command's output


def styled_state(state: str) -> str:
    """Return the state with its colour as rich markup."""
    style = STATE_STYLES.get(state)
    return f"[{style}]{state}[/{style}]" if style else state


def escape(text: str | None) -> str:
    """Return a text with nothing in it that rich would take for markup."""
    from rich.markup import escape as escaped

    return escaped(text or "")


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table; cells may carry rich markup."""
    from rich import box
    from rich.table import Table

    table = Table(title=title or None, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    console().print(table, soft_wrap=False)
