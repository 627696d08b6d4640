"""Write the table of log events in docs/reference/logs-and-metrics.md, from the calls in echo_node.

`python docs/scripts/log_events_reference.py --write` or `--check`.
"""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from generated_page import DOCS, between, run, table

PAGE = DOCS / "reference" / "logs-and-metrics.md"
BEGIN = "<!-- log events: generated from echo_node by `make reference` -->\n"
END = "<!-- end of log events -->\n"
_PACKAGE = DOCS.parent / "echo_node"
_LEVELS = {"debug": "debug", "info": "info", "warning": "warning", "error": "error", "exception": "error"}


@dataclass(slots=True)
class Event:
    """Calls that log one event.

    Attributes:
        levels: levels at which it is logged.
        keys: keys that it may carry.
    """

    levels: set[str] = field(default_factory=set)
    keys: set[str] = field(default_factory=set)


def events() -> dict[str, Event]:
    """Return every event with a constant name."""
    found: defaultdict[str, Event] = defaultdict(Event)
    for path in sorted(_PACKAGE.rglob("*.py")):
        for level, name, keys in _calls(path):
            event = found[name]
            event.levels.add(level)
            event.keys.update(keys)
    return dict(sorted(found.items()))


def _calls(path: Path) -> Iterator[tuple[str, str, list[str]]]:
    module = ast.parse(path.read_text(encoding="utf-8"))
    shared = _shared_keys(module)
    for node in ast.walk(module):
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="log" | "_log"), attr=method),
                args=[ast.Constant(value=str(name))],
                keywords=keywords,
            ) if method in _LEVELS:
                yield _LEVELS[method], name, [key for each in keywords for key in _keys(each, shared)]


def _keys(keyword: ast.keyword, shared: dict[str, list[str]]) -> list[str]:
    """Return the key of an argument, or the keys of `**function(…)`."""
    match keyword:
        case ast.keyword(arg=str(key)):
            return [key]
        case ast.keyword(value=ast.Call(func=ast.Name(id=function))):
            return shared.get(function, [])
    return []


def _shared_keys(module: ast.Module) -> dict[str, list[str]]:
    """Return the keys of each function of a module that returns a dictionary with constant keys."""
    return {
        function.name: [str(key.value) for key in returned.value.keys if isinstance(key, ast.Constant)]
        for function in module.body
        if isinstance(function, ast.FunctionDef)
        for returned in function.body
        if isinstance(returned, ast.Return) and isinstance(returned.value, ast.Dict)
    }


def render(page: str) -> str:
    """Return the page with the present table between its markers."""
    rows = [
        (
            f"`{name}`",
            ", ".join(sorted(event.levels)),
            ", ".join(f"`{key}`" for key in sorted(event.keys)),
        )
        for name, event in events().items()
    ]
    return between(page, BEGIN, table(("Event", "Level", "Keys"), rows), END)


if __name__ == "__main__":
    sys.exit(run(PAGE, render, sys.argv[1:]))
