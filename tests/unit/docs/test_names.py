"""Files and classes that the pages name exist."""

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PLACES = ("echo_node", "training", "tests", "docs", "dicom_config", "alembic")
GENERATED_OR_HISTORY = {"compatibility", "CHANGELOG"}
PAGES = sorted(
    page
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    if page.stem not in GENERATED_OR_HISTORY
)
FILE = re.compile(r"`((?:[\w-]+/)+(?:[\w.-]+\.\w+)?)`")
CLASS = re.compile(r"`((?:[A-Z][a-z]+){2,})\b[^`]*`")
OF_OTHERS = {"DefaultEncoding", "PermissionError", "RequiresMountsFor", "ValueError"}
ONLY_IN_THE_WHEEL = {"echo_node/_data/"}


@cache
def files() -> frozenset[str]:
    """Every path of the repository, and every end of one, such as pipeline/form.py."""
    paths = [path.relative_to(ROOT) for place in PLACES for path in (ROOT / place).rglob("*")]
    paths += [Path(place) for place in PLACES]
    return frozenset("/".join(path.parts[start:]) for path in paths for start in range(len(path.parts)))


@cache
def folders() -> frozenset[str]:
    """The names of the folders with which a path in the pages may begin."""
    inside = [path.name for place in PLACES[:2] for path in (ROOT / place).iterdir() if path.is_dir()]
    return frozenset([*PLACES, *inside]) - {"models"}


@cache
def classes() -> frozenset[str]:
    """The names of all classes of the program."""
    modules = [path for place in PLACES[:2] for path in (ROOT / place).rglob("*.py")]
    code = "\n".join(path.read_text(encoding="utf-8") for path in modules)
    return frozenset(re.findall(r"^\s*class (\w+)", code, re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_named_files_exist(page: Path) -> None:
    named = [
        name for name in FILE.findall(page.read_text(encoding="utf-8")) if name.split("/")[0] in folders()
    ]
    assert [name for name in named if name.rstrip("/") not in files() and name not in ONLY_IN_THE_WHEEL] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_named_classes_exist(page: Path) -> None:
    named = set(CLASS.findall(page.read_text(encoding="utf-8")))
    assert sorted(named - classes() - OF_OTHERS) == []


def test_the_file_tree_of_the_readme_exists() -> None:
    fenced = re.search(
        r"^```\n(echo_node/.*?)^```",
        (ROOT / "README.md").read_text(encoding="utf-8"),
        re.MULTILINE | re.DOTALL,
    )
    assert fenced is not None
    top, missing = "", []
    for line in fenced[1].splitlines():
        name = line.split()[0]
        path = top + name if line.startswith(" ") else name
        top = top if line.startswith(" ") else name
        if not (ROOT / path).is_dir():
            missing.append(path)
    assert missing == []


def test_there_are_names_to_compare() -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert len(FILE.findall(text)) > 50
    assert len(CLASS.findall(text)) > 5
