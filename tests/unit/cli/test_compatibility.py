"""pydicom's whole test collection through `echo-node report`: each file gets an answer in words."""

import runpy
from pathlib import Path
from typing import Any

import pytest
from support.parrot import write_parrot

DOCS = Path(__file__).resolve().parents[3] / "docs"


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    page = runpy.run_path(str(DOCS / "scripts" / "compatibility.py"))
    parrot = write_parrot(tmp_path_factory.mktemp("parrot"))
    rows: list[Any] = page["rows"](["--model", str(parrot)])
    return rows


def test_every_file_is_drafted_skipped_or_refused_with_a_reason(found: list[Any]) -> None:
    assert len(found) > 200
    for row in found:
        fate, _, reason = row.outcome.partition(": ")
        assert fate == "drafted" or (fate in {"skipped", "refused"} and len(reason) > 10), row
        assert row.pixels[0].isdigit() or len(row.pixels) > 10, row


def test_the_chest_radiographs_are_drafted_and_nothing_else(found: list[Any]) -> None:
    drafted = {row.name for row in found if row.outcome == "drafted"}
    assert drafted == {f"RG1_{kind}.dcm" for kind in ("J2KI", "J2KR", "UNCI", "UNCR")}


def test_files_that_are_the_same_image_are_shown_in_the_same_size(found: list[Any]) -> None:
    sizes = {row.name: row.pixels for row in found}
    for family in ("RG1", "RG3", "MR2", "693"):
        assert len({size for name, size in sizes.items() if name.startswith(family)}) == 1
    shown = {row.syntax for row in found if row.pixels[0].isdigit()}
    assert len(shown) >= 9, "nearly every transfer syntax is in the collection"


def test_the_page_is_what_was_found(found: list[Any]) -> None:
    written = (DOCS / "reference" / "compatibility.md").read_text(encoding="utf-8")
    script = runpy.run_path(str(DOCS / "scripts" / "compatibility.py"))
    if script["versions"]() not in written:
        pytest.skip("the page is of other versions of the collection")
    assert script["page"](found) == written, "run `make compatibility`"
