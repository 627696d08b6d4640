"""Write docs/reference/python-api.md from the public names of echo_node and training.

`python docs/scripts/python_reference.py --write` or `--check`. Nothing is imported: the stub of
each package says which module defines a name, and the text comes from there.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import wrap

from generated_page import DOCS, run

PAGE = DOCS / "reference" / "python-api.md"
_ROOT = DOCS.parent
_PACKAGES = ("echo_node", "training")
_INTRO = """\
# Python API

*Reference, generated from the code by `make reference`.*

The names in `echo_node.__all__` and `training.__all__` are the public interface. Everything else
may change without notice. A name is loaded when it is first used, so `import echo_node` alone is
light. The programs in `examples/` use these names, and the tests run them.
"""
_SECTION = re.compile(r"(Args|Attributes|Raises|Returns|Yields):")
_ENTRY = re.compile(r"    (?=\S)")
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def public_names(package: str) -> Iterator[tuple[str, Path]]:
    """Yield each public name of a package with the file that defines it."""
    stub = ast.parse((_ROOT / package / "__init__.pyi").read_text(encoding="utf-8"))
    for node in stub.body:
        if isinstance(node, ast.ImportFrom) and node.module:
            parts = (package, *node.module.split(".")) if node.level else tuple(node.module.split("."))
            path = _ROOT.joinpath(*parts)
            file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
            for alias in node.names:
                yield alias.asname or alias.name, file


def render(_present: str) -> str:
    """Return the page."""
    parts = [_INTRO]
    for package in _PACKAGES:
        parts.append(f"## {package}\n")
        for name, file in sorted(public_names(package), key=lambda each: each[0].lower()):
            parts += _described(name, file)
    return "\n".join(parts)


def _described(name: str, file: Path) -> Iterator[str]:
    """Yield the parts of a name's section."""
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, Definition) and node.name == name:
            yield f"### {name}\n"
            yield f"```python\n{_head(node)}\n```\n"
            yield _text(ast.get_docstring(node) or "")
            if isinstance(node, ast.ClassDef):
                yield from _methods(node)
            return
    yield f"### {name}\n"
    yield f"Defined in `{file.relative_to(_ROOT).as_posix()}`.\n"


def _methods(node: ast.ClassDef) -> Iterator[str]:
    """Yield the public methods and properties of a class as a list."""
    lines = []
    for each in node.body:
        if isinstance(each, _FUNCTIONS) and not each.name.startswith("_"):
            decorators = {ast.unparse(decorator) for decorator in each.decorator_list}
            is_property = bool(decorators & {"property", "cached_property"})
            head = (
                f"{each.name}: {ast.unparse(each.returns)}" if is_property and each.returns else _head(each)
            )
            summary = (ast.get_docstring(each) or "").partition("\n\n")[0]
            lines.append(_item(head, summary))
    if lines:
        yield "**Members**\n"
        yield "\n".join(lines) + "\n"


def _item(name: str, meaning: str) -> str:
    return "\n".join(wrap(f"- `{name}`: {meaning}", 98, subsequent_indent="  ", break_on_hyphens=False))


def _head(node: Definition) -> str:
    """Return the line that a user reads: a name with its arguments, or a class with its bases."""
    if isinstance(node, ast.ClassDef):
        bases = ", ".join(ast.unparse(base) for base in node.bases)
        initial = next(
            (each for each in node.body if isinstance(each, _FUNCTIONS) and each.name == "__init__"), None
        )
        made = f"\n{node.name}({_arguments(initial)})" if initial else ""
        return f"class {node.name}" + (f"({bases})" if bases else "") + made
    returned = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"{node.name}({_arguments(node)}){returned}"


def _arguments(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    return re.sub(r"^(self|cls)(, |$)", "", ast.unparse(node.args))


def _text(docstring: str) -> str:
    """Return a docstring in Markdown: the entries of its sections become a list."""
    lines: list[str] = []
    in_section = False
    for line in docstring.splitlines():
        if found := _SECTION.fullmatch(line):
            lines += [f"**{found[1]}**", ""]
            in_section = True
        elif in_section and _ENTRY.match(line):
            name, colon, meaning = line.strip().partition(": ")
            lines.append(f"- `{name}`: {meaning}" if colon else f"- {name}")
        elif in_section and line.startswith("     "):
            lines.append(f"  {line.strip()}")
        else:
            in_section = in_section and bool(line.strip())
            lines.append(line)
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(run(PAGE, render, sys.argv[1:]))
