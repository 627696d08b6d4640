"""Write docs/reference/compatibility.md: the result for each file of pydicom's test collection.

Run `make compatibility`, or `python docs/scripts/compatibility.py --write`. Without --write the page is
printed. The script needs no network: it reads the files that pydicom and pydicom-data install.
"""

from __future__ import annotations

import io
import json
import sys
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import typer
from generated_page import DOCS, run
from pydicom import dcmread
from pydicom.data import get_testdata_files

from echo_node.cli.studies import report
from echo_node.dicom.image.pixels import DisplayedPixels
from echo_node.dicom.library_settings import configure_libraries
from echo_node.domain.studies.study import InstanceIdentity, SelectedImage, StoredInstance
from echo_node.errors import PermanentError

PAGE = DOCS / "reference" / "compatibility.md"
_NOBODY = InstanceIdentity("", "", "", "", "")


@dataclass(frozen=True, slots=True)
class Row:
    """What became of one file.

    Attributes:
        name: of the file, and of its folder inside the collection.
        syntax: its transfer syntax; empty of what says none.
        outcome: `drafted`, `skipped` or `refused` by `echo-node report`, with the reason.
        pixels: what the pixel pipeline makes of it, chest or not: the size that is shown, or the reason.
    """

    name: str
    syntax: str
    outcome: str
    pixels: str


def rows(options: Sequence[str] = ()) -> list[Row]:
    """Read every file as `echo-node report FILES --json` does, in this process; give it these *options*."""
    configure_libraries()
    files = sorted(
        {Path(file) for file in get_testdata_files()}, key=lambda file: (file.parent.name, file.name)
    )
    files = [file for file in files if file.is_file() and not file.name.startswith(".")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # half of the collection is broken on purpose
        results = _reported(files, options)
        return [
            Row(_name(file), _syntax(file), _outcome(result), _pixels(file))
            for file, result in zip(files, results, strict=True)
        ]


def _reported(files: Sequence[Path], options: Sequence[str]) -> list[dict[str, object]]:
    app = typer.Typer()
    report.register(app)
    output = io.StringIO()
    with redirect_stdout(output), redirect_stderr(io.StringIO()), suppress(typer.Exit):
        app([*map(str, files), "--json", *options], standalone_mode=False)
    found: list[dict[str, object]] = json.loads(output.getvalue())
    return found


def _name(file: Path) -> str:
    parts = file.parts
    start = max((i for i, part in enumerate(parts) if part in {"test_files", "data"}), default=len(parts) - 2)
    return "/".join(parts[start + 1 :])


def _syntax(file: Path) -> str:
    try:
        return str(dcmread(file, specific_tags=[], stop_before_pixels=True).file_meta.TransferSyntaxUID.name)
    except Exception:  # noqa: BLE001 - malformed files raise anything
        return ""


def _outcome(result: dict[str, object]) -> str:
    for word, key in (("skipped", "skipped"), ("refused", "error")):
        if result[key]:
            return f"{word}: {result[key]}"
    return "drafted"


def _pixels(file: Path) -> str:
    try:
        shown = DisplayedPixels().read(SelectedImage(StoredInstance(_NOBODY, file, ""), ""))
    except PermanentError as error:
        return str(error)
    return f"{shown.width} x {shown.height}"


def versions() -> str:
    """Name the collection."""
    return " and ".join(f"{name} {version(name)}" for name in ("pydicom", "pydicom-data"))


def page(found: Sequence[Row]) -> str:
    """Return the page in Markdown; files of one folder and one fate share a line."""
    fates = Counter(row.outcome.partition(":")[0] for row in found)
    shown = sum(row.pixels[:1].isdigit() for row in found)
    intro = f"""\
# pydicom's test files

What becomes of the {len(found)} files of {versions()}: {fates["drafted"]} drafted,
{fates["skipped"]} skipped, {fates["refused"]} refused, each of these with its reason. Written by \
`make compatibility`, without a network.

The third column is what `echo-node report FILE` says. The collection holds few chest radiographs, so that the
last column is the pixel pipeline alone, whatever the image shows: {shown} files are shown, in the size given,
the others refused.

| file | transfer syntax | `echo-node report` | its pixels alone |
|---|---|---|---|
"""
    return intro + "".join(f"| {' | '.join(cells)} |\n" for cells in _grouped(found))


def _grouped(found: Sequence[Row]) -> Iterator[tuple[str, ...]]:
    folders: dict[tuple[str, ...], list[str]] = {}
    for row in found:
        folder, _, name = row.name.rpartition("/")
        # What lies in a folder is a file set of one scanner: its numbers say nothing.
        key = (folder.partition("/")[0] or name, row.syntax, row.outcome, row.pixels)
        folders.setdefault(key, []).append(row.name)
    for (name, *cells), names in folders.items():
        label = f"`{names[0]}`" if len(names) == 1 else f"`{name}/`, {len(names)} files"
        yield (label, *(cell.replace("|", "\\|").replace("\n", " ") for cell in cells))


if __name__ == "__main__":
    sys.exit(run(PAGE, lambda _present: page(rows()), sys.argv[1:]))
