"""Pages that docs/scripts generates are what the code says today."""

import importlib
from pathlib import Path

import pytest

from echo_node.domain.work.kinds import KINDS
from echo_node.domain.work.lifecycle import TRANSITIONS, StudyState
from echo_node.web.status_queries import StateCounts

SCRIPTS = (
    "commands_reference",
    "conformance_tables",
    "lifecycle_diagram",
    "lifecycle_table",
    "log_events_reference",
    "python_reference",
    "settings_reference",
)
MAKEFILE = Path(__file__).resolve().parents[3] / "Makefile"


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_page_is_up_to_date(name: str) -> None:
    script = importlib.import_module(name)
    present = script.PAGE.read_text(encoding="utf-8")
    assert script.render(present) == present, "run `make reference`"


def test_every_metric_is_on_its_page() -> None:
    page = importlib.import_module("log_events_reference").PAGE.read_text(encoding="utf-8")
    numbers = [name for name, each in vars(StateCounts).items() if isinstance(each, property)]
    by_kind = [kind.name.plural for kind in KINDS.values()]
    counts = [*by_kind, *(name for name in numbers if name != "work")]
    assert len(counts) > 5
    assert [name for name in counts if f"| `echo_node_{name}` |" not in page] == []


@pytest.mark.parametrize("name", SCRIPTS)
def test_make_reference_writes_it(name: str) -> None:
    assert f"docs/scripts/{name}.py --write" in MAKEFILE.read_text(encoding="utf-8")


def test_a_page_that_was_edited_by_hand_is_noticed() -> None:
    script = importlib.import_module("lifecycle_table")
    present = script.PAGE.read_text(encoding="utf-8")
    edited = present.replace("| `receiving` |", "| `received` |")
    assert edited != present
    assert script.render(edited) == present


def test_the_lifecycle_has_every_transition() -> None:
    rows = importlib.import_module("lifecycle_table").transitions().splitlines()[2:]
    assert len(rows) == len(TRANSITIONS) + 1
    assert "|  | same images as the earlier draft | `drafted` |" in rows
    drawing = importlib.import_module("lifecycle_diagram").render("")
    assert all(f">{state}</text>" in drawing for state in StudyState)
    between = {(each.source, each.target) for each in TRANSITIONS if each.source is not each.target}
    marked = {each for each in between if each[1] in {StudyState.RECEIVING, StudyState.WITHDRAWING}}
    back = {(StudyState.WITHDRAWN, StudyState.WITHDRAWING)}
    assert drawing.count("marker-end=") == len(between - marked | back)
