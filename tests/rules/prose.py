"""Check of our prose: words to avoid, openings of docstrings, lines of more than 100 columns.

Usage: python tests/rules/prose.py [--failing] [paths …]

It reads docstrings, comments and string literals of Python files, comments of TOML files and
makefiles, and Markdown. The words are in words.toml. Code is never checked, nor is anything between
backticks. A hit marked ⚠ has a good use, too: it is printed, unless --failing is given, and does
not fail.
"""

import argparse
import ast
import io
import os
import re
import sys
import tokenize
import tomllib
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
WORDS = Path(__file__).with_name("words.toml")
COLUMNS = 100
FOLDERS = ("echo_node", "training", "docs", "dicom_config", "examples", "tests", "alembic")
PLACES = (*FOLDERS, "Makefile", "pyproject.toml")
CODE = re.compile(r"(?P<ticks>`+)(?!`).*?(?<!`)(?P=ticks)(?!`)", re.DOTALL)
ADDRESS = re.compile(r"(?<=\])\([^()\s]*\)|https?://[^\s)>\"']+")
DIRECTIVE = re.compile(r"#\s*(noqa|type:|fmt:|pragma|mypy:|ruff:).*")
ATTRIBUTE = re.compile(r"^\s+\*{0,2}\w+(?:, \w+)*: ", re.MULTILINE)
LIST_ITEM = re.compile(r"\s*([-*]|\d+\.) ")
STRING = re.compile(r"(?P<prefix>[A-Za-z]*)(?P<quotes>\"{3}|'{3}|\"|')(?P<text>.*)(?P=quotes)", re.DOTALL)


class Line(NamedTuple):
    """Text of one line, with its number in the file."""

    number: int
    text: str


@dataclass(frozen=True)
class Passage:
    """Lines that are read as one text, so that a phrase may cross a line break.

    lines: the lines, without what is not prose.
    docstring: whether the passage is a docstring.
    literal: whether it is another string of a program.
    """

    lines: tuple[Line, ...]
    docstring: bool = False
    literal: bool = False


@dataclass(frozen=True)
class Word:
    """One row of the word list.

    avoid: expression to avoid.
    use: words to write instead.
    unless: expression of the good uses; None if there are none.
    warn: whether a hit is a warning only.
    """

    avoid: re.Pattern[str]
    use: str
    unless: re.Pattern[str] | None
    warn: bool


@dataclass(frozen=True, order=True)
class Hit:
    """One place that needs a better word.

    path: path of the file, as given.
    line: number of the line.
    message: the word and its replacement.
    warn: whether it is a warning only.
    """

    path: str
    line: int
    message: str
    warn: bool

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {'⚠ ' if self.warn else ''}{self.message}"


@dataclass(frozen=True)
class WordList:
    """Content of words.toml.

    words: words to avoid anywhere.
    openings: words that must not open a docstring.
    attributes: words that must not open the text of an attribute.
    data: paths whose string literals are data.
    generated: paths of generated pages, whose lines may have any length.
    """

    words: tuple[Word, ...]
    openings: tuple[Word, ...]
    attributes: tuple[Word, ...]
    data: tuple[str, ...]
    generated: tuple[str, ...]


def _expression(text: str) -> re.Pattern[str]:
    """Compile *text* for whole words; a space matches any white space, no capital both cases."""
    words = rf"(?:{text})".replace(" ", r"\s+")
    cased = any(letter.isupper() for letter in text)
    return re.compile(rf"(?<![\w-]){words}(?![\w-])", 0 if cased else re.IGNORECASE)


@cache
def word_list() -> WordList:
    """Return the word list."""
    content = tomllib.loads(WORDS.read_text("utf-8"))

    def rows(name: str) -> tuple[Word, ...]:
        return tuple(
            Word(
                _expression(row["avoid"]),
                row["use"],
                _expression(row["unless"]) if "unless" in row else None,
                row.get("warn", False),
            )
            for row in content[name]
        )

    return WordList(
        rows("word"), rows("opening"), rows("attribute"), tuple(content["data"]), tuple(content["generated"])
    )


def _blank(match: re.Match[str]) -> str:
    """Replace a match by as many spaces, line breaks excepted."""
    return re.sub(r"[^\n]", " ", match[0])


def _lines(text: str, first: int) -> tuple[Line, ...]:
    return tuple(Line(first + offset, line) for offset, line in enumerate(text.split("\n")))


def _docstring_starts(tree: ast.AST) -> set[int]:
    """Return the first lines of all strings that are statements: docstrings, also of fields."""
    return {
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    }


def python_passages(source: str) -> Iterator[Passage]:
    """Yield the docstrings, comments and string literals of a Python file."""
    documented = _docstring_starts(ast.parse(source))
    comment: list[Line] = []
    literal: list[Line] = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        row = token.start[0]
        if token.type == tokenize.COMMENT:
            text = DIRECTIVE.sub("", token.string).lstrip("#! ")
            alone = not token.line[: token.start[1]].strip()
            if comment and not (alone and comment[-1].number == row - 1):
                yield Passage(tuple(comment))
                comment = []
            comment.append(Line(row, text))
        elif token.type == tokenize.STRING and (match := STRING.fullmatch(token.string)):
            text = match["text"]
            if "r" not in match["prefix"].lower():
                text = re.sub(r"\\[abfnrtv\n]", lambda escape: "\n " if "\n" in escape[0] else "  ", text)
            if "f" in match["prefix"].lower():
                text = re.sub(r"\{[^{}]*\}", _blank, text)
            if row in documented and not token.line[: token.start[1]].strip():
                yield Passage(_lines(text, row), docstring=True)
            else:
                literal += _lines(text, row)
        elif token.type == getattr(tokenize, "FSTRING_MIDDLE", -1):
            literal += _lines(re.sub(r"\\[abfnrtv]", "  ", token.string), row)
        elif token.type in _WITHIN_LITERALS:
            continue
        elif literal and (token.type != tokenize.OP or token.string not in "{}!:"):
            yield Passage(tuple(literal), literal=True)
            literal = []
    if comment:
        yield Passage(tuple(comment))


_WITHIN_LITERALS = {tokenize.NL} | {
    getattr(tokenize, name) for name in ("FSTRING_START", "FSTRING_END") if hasattr(tokenize, name)
}


def _toml_comment(line: str) -> str | None:
    """Return the comment of a line of TOML, or None; a # within quotes begins none."""
    rest = re.sub(r"\"(?:[^\"\\]|\\.)*\"|'[^']*'", _blank, line)
    start = rest.find("#")
    return None if start < 0 else line[start:].lstrip("# ")


def _makefile_comment(line: str) -> str | None:
    if line.startswith("#"):
        return line.lstrip("# ")
    _, found, text = line.partition(" ## ")
    return text if found else None


def commented_passages(source: str, *, makefile: bool) -> Iterator[Passage]:
    """Yield the comments of a TOML file or a makefile; those of consecutive lines are one text."""
    gathered: list[Line] = []
    for number, line in enumerate(source.split("\n"), 1):
        comment = _makefile_comment(line) if makefile else _toml_comment(line)
        if gathered and (comment is None or not line.startswith("#")):
            yield Passage(tuple(gathered))
            gathered = []
        if comment is not None:
            gathered.append(Line(number, comment))
    if gathered:
        yield Passage(tuple(gathered))


def _without_fences(source: str) -> list[str]:
    """Return the lines of a page, those of code blocks and of HTML comments empty."""
    lines = re.sub(r"<!--.*?-->", _blank, source, flags=re.DOTALL).split("\n")
    fence, indented, after_blank = "", False, True
    for index, line in enumerate(lines):
        mark = re.match(r"\s*(`{3,}|~{3,})", line)
        in_block = line.startswith("    ") and not LIST_ITEM.match(line)
        indented = in_block and (indented or after_blank)
        after_blank = not line.strip()
        if fence or mark or indented:
            lines[index] = ""
        if fence and mark and mark[1].startswith(fence):
            fence = ""
        elif mark and not fence:
            fence = mark[1]
    return lines


def markdown_passages(source: str) -> Iterator[Passage]:
    """Yield the paragraphs, list items and table rows of a page."""
    gathered: list[Line] = []
    for number, line in enumerate(_without_fences(source), 1):
        if gathered and (not line.strip() or re.match(r"\s*([-*|#>]|\d+\.) ?", line)):
            yield Passage(tuple(gathered))
            gathered = []
        if line.strip():
            gathered.append(Line(number, line))
    if gathered:
        yield Passage(tuple(gathered))


def passages(path: Path, source: str) -> Iterator[Passage]:
    """Yield the prose of a file."""
    match path.suffix:
        case ".py":
            yield from python_passages(source)
        case ".md":
            yield from markdown_passages(source)
        case ".toml":
            yield from commented_passages(source, makefile=False)
        case _:
            yield from commented_passages(source, makefile=True)


def _accepted(word: Word, text: str, match: re.Match[str]) -> bool:
    """Return whether a good use of the word covers the match."""
    if word.unless is None:
        return False
    return any(good.start() <= match.start() < good.end() for good in word.unless.finditer(text))


def _word_hits(path: str, passage: Passage, words: WordList) -> Iterator[Hit]:
    text = "\n".join(line.text for line in passage.lines)
    text = ADDRESS.sub(_blank, CODE.sub(_blank, text))
    starts = [0]
    for line in passage.lines:
        starts.append(starts[-1] + len(line.text) + 1)

    def hit(word: Word, match: re.Match[str]) -> Hit:
        line = passage.lines[bisect_right(starts, match.start()) - 1]
        return Hit(path, line.number, f"{' '.join(match[0].split())} → {word.use}", word.warn)

    opening_hits = set()
    if passage.docstring:
        for word in words.openings:
            if match := word.avoid.match(text, len(text) - len(text.lstrip())):
                opening_hits.add(match.start())
                yield hit(word, match)
        for name in ATTRIBUTE.finditer(text):
            for word in words.attributes:
                if match := word.avoid.match(text, name.end()):
                    yield hit(word, match)
    elif not re.search(r"\S\s+\S", text):
        return
    for word in words.words:
        for match in word.avoid.finditer(text):
            if match.start() not in opening_hits and not _accepted(word, text, match):
                yield hit(word, match)


def _too_long(path: Path, source: str, prose: list[Passage]) -> Iterator[Hit]:
    """Yield the lines of prose that are too long; tables, addresses and code do not count."""
    lines = source.split("\n")
    for passage in prose:
        for number, text in passage.lines:
            line = lines[number - 1]
            if path.suffix == ".py":
                counts = passage.docstring or line.lstrip().startswith("#")
                counts = counts and not line.lstrip().startswith(("# noqa", "# type:"))
            elif path.suffix == ".md":
                counts = not text.lstrip().startswith("|")
            else:
                counts = line.startswith("#")
            length = len(ADDRESS.sub("", line)) if counts else 0
            if length > COLUMNS:
                yield Hit(str(path), number, f"{length} columns → at most {COLUMNS}", warn=False)


def _conflicts(path: Path, source: str) -> Iterator[Hit]:
    """Yield the marks of an unfinished merge."""
    for number, line in enumerate(source.split("\n"), 1):
        if line.startswith(("<<<<<<< ", ">>>>>>> ")):
            yield Hit(str(path), number, "mark of a merge conflict → one of the two texts", warn=False)


def check(path: Path) -> list[Hit]:
    """Return the hits of one file."""
    words = word_list()
    source = path.read_text("utf-8")
    inside = path.resolve().relative_to(ROOT).as_posix() if path.resolve().is_relative_to(ROOT) else str(path)
    is_data = inside.startswith(words.data)
    prose = [each for each in passages(path, source) if not (each.literal and is_data)]
    hits = [hit for passage in prose for hit in _word_hits(str(path), passage, words)]
    hits += _conflicts(path, source)
    if not inside.startswith(words.generated):
        hits += _too_long(path, source, prose)
    return sorted(set(hits))


def files(places: list[Path]) -> Iterator[Path]:
    """Yield the files with prose below some places."""
    for place in places:
        if place.is_dir():
            for path in sorted(place.rglob("*")):
                if (
                    path.suffix in {".py", ".md", ".toml"}
                    and path.is_file()
                    and "__pycache__" not in path.parts
                ):
                    yield path
        else:
            yield place


def main(arguments: list[str] | None = None) -> int:
    """Print the hits below the given paths; return 1 if there is one that fails."""
    parser = argparse.ArgumentParser(
        description="Check the prose of docstrings, comments, messages and pages."
    )
    parser.add_argument("--failing", action="store_true", help="print no warnings")
    parser.add_argument(
        "paths", nargs="*", type=Path, help="files and folders; without any, the whole repository"
    )
    options = parser.parse_args(arguments)
    known = (ROOT / place for place in (*PLACES, *sorted(path.name for path in ROOT.glob("*.md"))))
    places = options.paths or [Path(os.path.relpath(place)) for place in known if place.exists()]
    hits = [hit for path in files(places) for hit in check(path)]
    failing = [hit for hit in hits if not hit.warn]
    for hit in failing if options.failing else hits:
        print(hit)
    print(f"{len(failing)} to correct, {len(hits) - len(failing)} to look at (⚠)")
    return 1 if failing else 0


if __name__ == "__main__":
    sys.exit(main())
