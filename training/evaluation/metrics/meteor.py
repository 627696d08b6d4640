"""METEOR 1.5 (Denkowski and Lavie, WMT 2014), computed by the Java program of its authors.

The program is part of the Python package `pycocoevalcap`. It is under the LGPL, and the same
package contains a tokeniser under the GPL that is not used here. Therefore METEOR is a separate
extra, and runs in a separate process.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from echo_node.errors import ConfigError, PermanentError
from echo_node.report_text.words import words

_JAR = Path("meteor") / "meteor-1.5.jar"


def why_not() -> str:
    """Return the reason why METEOR cannot run, with a remedy; empty if it can."""
    if shutil.which("java") is None:
        return "METEOR is left out: Java is missing (Debian: apt install default-jre-headless)"
    if _folder() is None:
        return "METEOR is left out: pip install 'echo-node[meteor]'"
    return ""


def meteor(drafts: Sequence[str], references: Sequence[str]) -> float:
    """Return METEOR of a set of drafts, 0 to 1, each against its one reference."""
    with _program() as (ask, answer):
        statistics = []
        for draft, reference in zip(drafts, references, strict=True):
            ask(f"SCORE ||| {' '.join(words(reference))} ||| {' '.join(words(draft))}")
            statistics.append(answer())
        ask(" ||| ".join(["EVAL", *statistics]))
        for _ in statistics:  # scores of the single drafts
            answer()
        return float(answer())


def _folder() -> Path | None:
    spec = find_spec("pycocoevalcap")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if (Path(folder) / _JAR).is_file():
            return Path(folder)
    return None


@contextmanager
def _program() -> Iterator[tuple[Callable[[str], None], Callable[[], str]]]:
    """Start the program. Yield a function that sends a line and one that reads a line."""
    folder = _folder()
    if folder is None:
        raise ConfigError(why_not())
    command = ["java", "-Xmx2G", "-Dfile.encoding=UTF-8", "-jar", _JAR.name]
    command += ["-", "-", "-stdio", "-l", "en", "-norm"]
    with subprocess.Popen(  # noqa: S603 - a fixed command; texts go through a pipe
        command,
        cwd=folder / _JAR.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
        bufsize=1,
    ) as program:
        sink, source = program.stdin, program.stdout
        if sink is None or source is None:
            raise PermanentError("the Java program of METEOR has no pipes")

        def ask(line: str) -> None:
            sink.write(f"{line}\n")

        def answer() -> str:
            line = source.readline().strip()
            if not line:
                raise PermanentError("the Java program of METEOR gave no answer: it needs Java 8 or newer")
            return line

        try:
            yield ask, answer
        finally:
            program.kill()
