"""Write docs/reference/commands.md from the command line's own help texts.

`python docs/scripts/commands_reference.py --write` or `--check`.
"""

from __future__ import annotations

import inspect
import re
import sys
import types
import typing
from collections.abc import Iterator
from enum import Enum
from textwrap import fill

import typer
from generated_page import DOCS, cell, run, table
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from echo_node.cli.app import app
from echo_node.cli.options import SETTINGS_PANEL

PAGE = DOCS / "reference" / "commands.md"
_BOLD = re.compile(r"\[bold\](.+?)\[/bold\]")
_MARKUP = re.compile(r"\[/?(?:bold|dim|italic)\]")
_INTRO = """\
# Commands

*Reference, generated from the help texts of `echo-node` by `make reference`.*

`echo-node COMMAND --help` prints the same text. Commands that print data print JSON with `--json`.
With `echo-node --debug COMMAND`, an error also prints its traceback.

| Exit code | Meaning |
| --- | --- |
| 0 | Success. |
| 1 | Failure. One line on standard error explains it. |
| 2 | Invalid configuration or usage. |
| 130 | Interrupted. |
"""

_SHARED = """\
A command that reads the configuration takes some of these options. The section of the command says
which."""


def render(_present: str) -> str:
    """Return the page."""
    root = typer.main.get_command(app)
    assert isinstance(root, TyperGroup)  # noqa: S101
    commands = list(_commands(root, "echo-node"))
    shared: dict[str, tuple[str, ...]] = {}
    for _, command in commands:
        for option in _options(command):
            if _is_shared(option):
                shared.setdefault(option.opts[0], _option(option, command))
    options = table(("Option", "Value", "Default", "Meaning"), (shared[name] for name in sorted(shared)))
    parts = [
        _INTRO,
        f"## Options that set the configuration\n\n{_SHARED}\n\n{options}",
        *(_section(path, command) for path, command in commands),
    ]
    return "\n".join(parts)


def _commands(group: TyperGroup, path: str) -> Iterator[tuple[str, TyperCommand]]:
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from _commands(command, f"{path} {name}")
        elif isinstance(command, TyperCommand):
            yield f"{path} {name}", command


def _section(path: str, command: TyperCommand) -> str:
    arguments = [each for each in command.params if isinstance(each, TyperArgument)]
    options = [each for each in _options(command) if not each.hidden]
    own = [each for each in options if not _is_shared(each) and each.name != "help"]
    usage = " ".join([path, *(["[OPTIONS]"] if options else []), *map(_usage, arguments)])
    parts = [f"## {path}\n", f"```text\n{usage}\n```\n", _help(command.help or "")]
    if arguments:
        meanings = [(f"`{_metavar(each)}`", cell(each.help or "")) for each in arguments]
        parts.append(table(("Argument", "Meaning"), meanings))
    if own:
        rows = [_option(each, command) for each in own]
        parts.append(table(("Option", "Value", "Default", "Meaning"), rows))
    shared = [f"`{each.opts[0]}`" for each in options if _is_shared(each)]
    if shared:
        also = fill(", ".join(shared), 98, break_on_hyphens=False)
        parts.append(f"[Options that set the configuration](#options-that-set-the-configuration):\n{also}.\n")
    return "\n".join(parts)


def _options(command: TyperCommand) -> list[TyperOption]:
    return [each for each in command.params if isinstance(each, TyperOption)]


def _is_shared(option: TyperOption) -> bool:
    return option.rich_help_panel == SETTINGS_PANEL


def _metavar(argument: TyperArgument) -> str:
    return argument.metavar or (argument.name or "").upper()


def _usage(argument: TyperArgument) -> str:
    shown = _metavar(argument)
    if argument.nargs == -1 and not shown.endswith("…"):
        shown += "…"
    return shown if argument.required or shown.startswith("[") else f"[{shown}]"


def _option(option: TyperOption, command: TyperCommand) -> tuple[str, ...]:
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    help_text = _MARKUP.sub("", option.help or "")
    if option.envvar and str(option.envvar) not in help_text:
        help_text += f" Environment variable: `{option.envvar}`."
    return names, _value(option, command), _default(option), cell(help_text)


def _value(option: TyperOption, command: TyperCommand) -> str:
    if option.is_flag:
        return ""
    annotation = typing.get_type_hints(command.callback)[option.name or ""]
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        annotation = next(each for each in typing.get_args(annotation) if each is not type(None))
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return ", ".join(f"`{member.value}`" for member in annotation)
    if option.metavar:
        return f"`{cell(option.metavar)}`" if "|" not in option.metavar else cell(option.metavar)
    return "integer" if annotation is int else "number" if annotation is float else "text"


def _default(option: TyperOption) -> str:
    if option.required:
        return "required"
    default = option.default.value if isinstance(option.default, Enum) else option.default
    return "" if default in (None, False, (), []) or callable(default) else f"`{default}`"


def _help(text: str) -> str:
    """Return a help text in Markdown: indented lines become a code block."""
    parts = []
    for paragraph in re.split(r"\n\s*\n", inspect.cleandoc(_MARKUP.sub("", _BOLD.sub(r"**\1**", text)))):
        lines = paragraph.splitlines()
        if all(line.startswith("  ") for line in lines):
            code = "\n".join(line[2:] for line in lines)
            parts.append(f"```text\n{code}\n```\n")
        else:
            parts.append(paragraph + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    sys.exit(run(PAGE, render, sys.argv[1:]))
