"""Classes that the pages name exist, and so do the folders of the README's tree.

tests/rules/test_house.py checks the files that prose names.
"""

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
HISTORY = {"CHANGELOG"}
CLASS = re.compile(r"`((?:[A-Z][a-z]+){2,})\b[^`]*`")
OF_OTHERS = {"DefaultEncoding", "PermissionError", "RequiresMountsFor", "ValueError"}
TREE = re.compile(r"^```\n(echo_node/.*?)^```", re.MULTILINE | re.DOTALL)


@cache
def classes() -> frozenset[str]:
    """Return the names of all classes of the program and of its tests."""
    modules = [
        path for package in ("echo_node", "training", "tests") for path in (ROOT / package).rglob("*.py")
    ]
    code = "\n".join(path.read_text(encoding="utf-8") for path in modules)
    return frozenset(re.findall(r"^\s*class (\w+)", code, re.MULTILINE))


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.stem not in HISTORY], ids=lambda page: page.stem
)
def test_named_classes_exist(page: Path) -> None:
    named = set(CLASS.findall(page.read_text(encoding="utf-8")))
    assert sorted(named - classes() - OF_OTHERS) == []


def test_there_are_classes_to_compare() -> None:
    assert sum(len(CLASS.findall(page.read_text(encoding="utf-8"))) for page in PAGES) > 5


def test_the_file_tree_of_the_readme_exists() -> None:
    fenced = TREE.search((ROOT / "README.md").read_text(encoding="utf-8"))
    assert fenced is not None
    top, missing = "", []
    for line in fenced[1].splitlines():
        name = line.split()[0]
        path = top + name if line.startswith(" ") else name
        top = top if line.startswith(" ") else name
        if not (ROOT / path).is_dir():
            missing.append(path)
    assert missing == []
