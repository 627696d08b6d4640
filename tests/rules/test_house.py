"""The architecture page compared with the code, and rules for names that hold in every package."""

import ast
import io
import re
import tokenize
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest
from rules.prose import files, passages

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("echo_node", "training")
TREE_START = "## Where everything is"
MOST_MODULES = 15
DATA = {"__pycache__", "_data"}


def architecture() -> str:
    """Return the page that describes the layers and the file tree."""
    (page,) = (
        text
        for path in sorted((ROOT / "docs").rglob("*.md"))
        if TREE_START in (text := path.read_text(encoding="utf-8"))
    )
    return page


def section(title: str) -> str:
    """Return a section of the page, without its title."""
    _, _, rest = architecture().partition(f"## {title}\n")
    assert rest, f"the page has no section {title!r}"
    return rest.split("\n## ")[0]


def modules() -> list[Path]:
    """Return the modules of the packages."""
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def name_of(path: Path) -> str:
    """Return the path inside the repository."""
    return path.relative_to(ROOT).as_posix()


def tree() -> Iterator[str]:
    """Yield every path of the file tree on the page; folders end with a slash."""
    block = section("Where everything is").split("```")[1]
    folders: list[str] = []
    for line in block.strip("\n").split("\n"):
        depth = (len(line) - len(line.lstrip())) // 2
        folders = [*folders[:depth], line.split()[0]]
        yield "".join(folders)


def test_the_file_tree_of_the_page_is_the_one_on_disk() -> None:
    stated = set(tree())
    for path in stated:
        there = (ROOT / path).is_dir() if path.endswith("/") else (ROOT / path).is_file()
        assert there, f"the page names {path}, which does not exist"
    wings = (path for path in (ROOT / "echo_node").glob("*/*") if (path / "__init__.py").is_file())
    rooms = (path for package in PACKAGES for path in (ROOT / package).glob("*"))
    for room in chain(rooms, wings):
        if room.name in DATA or room.name.startswith("__") or not (room.is_dir() or room.suffix == ".py"):
            continue
        assert name_of(room) + ("/" if room.is_dir() else "") in stated, f"the page lacks {name_of(room)}"


def _layers(text: str) -> list[set[str]]:
    return [{each.strip(" ()\n") for each in re.split(r"[|:]", layer)} for layer in text.split(">")]


def contracts() -> list[dict[str, list[str]]]:
    """Return the contracts of import-linter."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    found: list[dict[str, list[str]]] = settings["tool"]["importlinter"]["contracts"]
    return found


def test_the_layers_of_the_page_are_those_that_import_linter_enforces() -> None:
    (node,) = (each for each in contracts() if each.get("containers") == ["echo_node"])
    stated = re.search(r"\n\n((?:    .*\n)+)", section("Where everything is"))
    assert stated is not None
    assert _layers(stated[1]) == _layers(">".join(node["layers"]))


def test_every_package_but_the_commands_and_benchmarks_is_forbidden_to_import_training() -> None:
    (contract,) = (each for each in contracts() if each.get("forbidden_modules") == ["training"])
    rooms = {
        f"echo_node.{path.stem}"
        for path in (ROOT / "echo_node").glob("*")
        if path.suffix == ".py" or (path / "__init__.py").is_file()
    }
    free = {f"echo_node.{name}" for name in ("__init__", "__main__", "cli", "bench")}
    assert set(contract["source_modules"]) == rooms - free


def _named_paths(text: str) -> Iterator[str]:
    """Yield the words that name a file of the repository."""
    for word in re.findall(r"(?<![\w/.*-])[\w.*-]+(?:/[\w.*-]+)*/?", text):
        path = word.rstrip(".")
        top = path.split("/")[0]
        known = top in {*PACKAGES, "docs", "tests", "alembic", "dicom_config"} and "/" in path
        if known or re.search(r"\w\.(py|md)$", path):
            yield path


def _exists(path: str, beside: Path) -> bool:
    places = (ROOT, beside, *(ROOT / top for top in (*PACKAGES, "docs", "tests")))
    if any(next(place.glob(path), None) for place in places):
        return True
    tops = (*PACKAGES, "docs", "tests")
    return "/" not in path and any(next((ROOT / top).rglob(path), None) for top in tops)


HISTORY = {"CHANGELOG.md", "docs/explanation/experiments.md"}
MADE = {"echo_node/_data/", "report.md", "results.md"}
ELSEWHERE = {"create_section_files.py"}
"""Files that old versions had, that the program writes, and that others publish."""


def test_every_path_that_prose_names_exists() -> None:
    places = [ROOT / top for top in (*PACKAGES, "docs", "tests", "dicom_config", "alembic", "Makefile")]
    missing = set()
    for path in chain(files(places), ROOT.glob("*.md")):
        if name_of(path) in HISTORY:
            continue
        for passage in passages(path, path.read_text(encoding="utf-8")):
            if passage.literal:
                continue
            for line in passage.lines:
                for named in _named_paths(line.text):
                    if named not in MADE | ELSEWHERE and not _exists(named, path.parent):
                        missing.add(f"{name_of(path)}:{line.number}: {named}")
    assert not missing, "\n".join(sorted(missing))


def test_no_package_has_too_many_modules() -> None:
    held = defaultdict(list)
    for path in modules():
        if path.name != "__init__.py":
            held[name_of(path.parent)].append(path.name)
    assert {folder: len(names) for folder, names in held.items() if len(names) > MOST_MODULES} == {}


def test_no_public_class_name_is_in_two_modules() -> None:
    where = defaultdict(list)
    for path in modules():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                where[node.name].append(name_of(path))
    assert {name: paths for name, paths in where.items() if len(paths) > 1} == {}


def test_roles_state_their_types() -> None:
    for path in (ROOT / "echo_node" / "roles").glob("*.py"):
        assert "Any" not in _identifiers(path), name_of(path)


def _identifiers(path: Path) -> set[str]:
    source = io.StringIO(path.read_text(encoding="utf-8"))
    tokens = tokenize.generate_tokens(source.readline)
    return {token.string for token in tokens if token.type == tokenize.NAME}


def _broad_handlers(path: Path) -> Iterator[ast.ExceptHandler]:
    """Yield the handlers of any exception that do not raise it again."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ExceptHandler):
            continue
        is_broad = node.type is None or (
            isinstance(node.type, ast.Name) and node.type.id in {"Exception", "BaseException"}
        )
        if is_broad and not isinstance(node.body[-1], ast.Raise):
            yield node


def test_any_exception_is_caught_only_where_the_page_says_so() -> None:
    stated = set(re.findall(r"`((?:echo_node|training)/[\w/]+\.py)`", section("Errors")))
    caught = {name_of(path) for path in modules() if any(_broad_handlers(path))}
    assert caught == stated


def test_every_rule_of_the_page_names_its_check() -> None:
    rules = re.split(r"\n(?=\d+\. )", section("What must always hold").split("\n### ")[0])[1:]
    assert len(rules) >= 10
    for rule in rules:
        assert re.search(r"`(tests/[\w/.]+|pyproject\.toml)`", rule), rule.split("\n")[0]


PASSED_IN = (
    "echo_node/domain/",
    "echo_node/pipeline/",
    "echo_node/storage/ledgers/",
    "echo_node/storage/queues/",
)
SCHEDULES = "echo_node/pipeline/maintenance.py"
"""Passes the present time to its scheduler, as the time of the first run."""


def test_time_randomness_and_uids_are_passed_in() -> None:
    sources = {"datetime.now", "time.time", "random.Random", "random.random", "uuid.uuid4", "generate_uid"}
    for path in modules():
        if not name_of(path).startswith(PASSED_IN) or name_of(path) == SCHEDULES:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                assert ast.unparse(node.func) not in sources, f"{name_of(path)}:{node.lineno}"


COMPOSITION = (
    "echo_node/actions/", "echo_node/cli/", "echo_node/config/", "echo_node/node.py", "echo_node/roles/",
    "echo_node/settings.py", "echo_node/wiring/",
)  # fmt: skip


def test_only_composition_sees_all_settings() -> None:
    for path in modules():
        if not name_of(path).startswith(COMPOSITION):
            assert "Settings" not in _identifiers(path), name_of(path)


WORDS = tomllib.loads(Path(__file__).with_name("words.toml").read_text(encoding="utf-8"))["identifier"]


@pytest.mark.parametrize("row", WORDS, ids=lambda row: str(row["avoid"]))
def test_private_words_are_gone(row: dict[str, str]) -> None:
    avoided = re.compile(row["avoid"])
    allowed = row.get("allowed", "").split()
    found = {
        f"{name_of(path)}: {name}"
        for path in modules()
        if not name_of(path).startswith(tuple(allowed))
        for name in ({path.stem} if row.get("names") == "modules" else {path.stem, *_identifiers(path)})
        if avoided.fullmatch(name)
    }
    assert not found, f"use {row['use']}: {sorted(found)}"
