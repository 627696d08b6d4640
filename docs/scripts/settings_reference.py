"""Write docs/reference/settings.md from the models of echo_node/settings.py.

`python docs/scripts/settings_reference.py --write` or `--check`.
"""

from __future__ import annotations

import inspect
import json
import sys
import types
import typing
from collections.abc import Iterator
from enum import EnumType
from pathlib import Path

import annotated_types
from generated_page import DOCS, cell, run, table
from pydantic.fields import FieldInfo

from echo_node.config.environment import NOT_SETTINGS, PACS, PREFIX, SHORT_FORMS
from echo_node.config.keys import sections
from echo_node.settings import Peer

PAGE = DOCS / "reference" / "settings.md"
_INTRO = f"""\
# Settings

*Reference, generated from `echo_node/settings.py` by `make reference`.*

Each source overrides the one before it: defaults, files, environment variables, command line.
`node.toml` contains the sections below, and `peers.toml` contains one table for each peer.
`echo-node config show` prints the effective value of every setting and its source.
[How to configure a node](../how-to/configure-a-node.md) describes the sources.

Every setting has an environment variable: `{PREFIX}`, the section, two underscores and the name,
in capitals. For example, `{PREFIX}INTAKE__STUDY_IDLE_S` sets `intake.study_idle_s`. Frequently
used settings also have a short form, which the tables name. An unknown name is an error.
"""
_TYPE_NAMES: dict[object, str] = {
    bool: "true or false",
    int: "integer",
    float: "number",
    str: "text",
    Path: "path",
}


def render(_present: str) -> str:
    """Return the page."""
    parts = [_INTRO]
    for name, model in sections().items():
        rows = [_row(key, field, f"{name}.") for key, field in model.model_fields.items()]
        heading = ("Setting", "Value", "Default", "Meaning")
        parts.append(f"## {name}\n\n{_words(model)}\n\n{table(heading, rows)}")
    rows = [_row(key, field, "") for key, field in Peer.model_fields.items()]
    parts.append(
        f"## Peers\n\n{_words(Peer)}\n\n"
        "In `peers.toml`, the name of the table is the name of the peer. For a peer named `pacs`,\n"
        f"`{PREFIX}PEERS__PACS__HOST` sets `host`. `{PREFIX}{PACS}` is the variable of the option\n"
        "`--pacs` of `echo-node serve`.\n\n" + table(("Setting", "Value", "Default", "Meaning"), rows)
    )
    others = ", ".join(f"`{PREFIX}{name}`" for name in sorted(NOT_SETTINGS))
    parts.append(
        f"## Variables that are not settings\n\n{others}: the configuration folder (option\n"
        "`--config`), tracebacks of errors (option `--debug`), and the folder of the models that\n"
        "`echo-node model add` fetched.\n"
    )
    return "\n".join(parts)


def _words(model: type) -> str:
    return inspect.getdoc(model) or ""


def _row(key: str, field: FieldInfo, prefix: str) -> tuple[str, ...]:
    short = [
        f"`{PREFIX}{name}`" for name, known in SHORT_FORMS.items() if ".".join(known) == f"{prefix}{key}"
    ]
    meaning = cell(field.description or "") + (f" Short form: {short[0]}." if short else "")
    return (f"`{prefix}{key}`", ", ".join(_values(field)), _default(field), meaning)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None:
        return "none"
    return f"`{json.dumps(value if isinstance(value, bool | int | float | tuple) else str(value))}`"


def _values(field: FieldInfo) -> Iterator[str]:
    """Yield the type, or the allowed values, and the bounds."""
    annotation = field.annotation
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        annotation = next(each for each in typing.get_args(annotation) if each is not type(None))
    prefix = ""
    if typing.get_origin(annotation) is tuple:
        prefix = "list of "
        annotation = typing.get_args(annotation)[0]
    if typing.get_origin(annotation) is typing.Annotated:
        annotation = typing.get_args(annotation)[0]
    if typing.get_origin(annotation) is typing.Literal:
        yield from (f"`{value}`" for value in typing.get_args(annotation))
    elif isinstance(annotation, EnumType):
        yield prefix + ", ".join(f"`{member.value}`" for member in annotation)
    else:
        yield f"{prefix}{_TYPE_NAMES[annotation]}"
    for bound in field.metadata:
        match bound:
            case annotated_types.Gt(gt=least):
                yield f"more than {least}"
            case annotated_types.Ge(ge=least):
                yield f"at least {least}"
            case annotated_types.Le(le=most):
                yield f"at most {most}"


if __name__ == "__main__":
    sys.exit(run(PAGE, render, sys.argv[1:]))
