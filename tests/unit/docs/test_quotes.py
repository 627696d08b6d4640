"""Messages that the how-to guides quote are messages of the program."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PAGES = sorted((ROOT / "docs" / "how-to").glob("*.md"))
QUOTE = re.compile(r"`([^`\n]+)`")
CODE = re.compile(
    r"[=<>{}/$\[\]|]|\b(echo-node|pip|python|make|serve|queue|storage|model|dataset)\b|--|^[A-Z_]+$"
)
EVENT = re.compile(r"(?:logs|log contains|log's) `(\w+)`|`(\w+)` in the log")
FRAGMENT = re.compile(r"…|\d+|[()]")


@cache
def texts() -> str:
    """Every string literal of the program, one a line; a value in an f-string is a line's end."""
    found: list[str] = []
    for path in (ROOT / "echo_node").rglob("*.py"):
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        found += [
            node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)
        ]
    return "\n".join(found)


def quotes(page: Path) -> list[str]:
    """The texts between backticks in tables that read like words, not like code."""
    rows = [line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    found = [quote for row in rows for quote in QUOTE.findall(row)]
    return [quote for quote in found if " " in quote.strip() and not CODE.search(quote)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_quoted_messages_are_in_the_code(page: Path) -> None:
    missing = [
        (quote, part.strip())
        for quote in quotes(page)
        for part in FRAGMENT.split(quote)
        if len(part.strip()) > 3 and part.strip(" ,.:") not in texts()
    ]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_named_log_events_exist(page: Path) -> None:
    named = EVENT.findall(page.read_text(encoding="utf-8"))
    assert [name for pair in named for name in pair if name and name not in texts().split("\n")] == []


def test_there_are_quotes_to_compare() -> None:
    assert sum(len(quotes(page)) for page in PAGES) > 20
    assert sum(len(EVENT.findall(page.read_text(encoding="utf-8"))) for page in PAGES) > 5
