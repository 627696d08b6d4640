from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from echo_node.dicom.selection import rules as module
from echo_node.dicom.selection.rules import selection_rules
from echo_node.errors import ConfigError
from echo_node.resources import packaged_folder

Edited = Callable[[str, str], Path]


@pytest.fixture
def edited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Edited]:
    """Put an edited copy of selection.toml in the place of the shipped one."""

    def edit(old: str, new: str) -> Path:
        path = tmp_path / "selection.toml"
        shutil.copy(packaged_folder("dicom_config") / "selection.toml", path)
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")
        monkeypatch.setattr(module, "packaged_folder", lambda _: tmp_path)
        selection_rules.cache_clear()
        return path

    yield edit
    selection_rules.cache_clear()


@pytest.mark.parametrize(
    ("written", "found"),
    [("chest pa", True), ("CHEST_PA", True), ("thorax2", True), ("orchestra", False), ("胸部正面", True)],
)
def test_words_are_whole_ones_beside_anything_but_letters(written: str, found: bool) -> None:
    assert bool(selection_rules().chest.words.search(written.casefold())) is found


@pytest.mark.parametrize(
    ("written", "views"),
    [
        ("chest p.a. erect", {"PA"}),
        ("chest_ap_1", {"AP"}),
        ("thorax lat2", {"lateral"}),
        ("spa map latest", set()),
        ("pa/lat", {"PA", "lateral"}),
    ],
)
def test_views_are_found_in_what_people_write(written: str, views: set[str]) -> None:
    words = selection_rules().view.words.items()
    assert {view for view, pattern in words if pattern.search(written)} == views


def test_a_word_that_is_added_counts(edited: Edited) -> None:
    edited('words = ["chest"', 'words = ["brustkorb", "chest"')
    assert selection_rules().chest.words.search("brustkorb im stehen")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('decubitus = ["LLD"', 'sideways = ["LLD"', "sideways"),
        ('"pa", ', '"(", ', "selection.toml cannot be used"),
        ("[chest]", "[chest", "selection.toml cannot be used"),
        ("named_parts", "other_parts", "named_parts"),
        ('["SCT", "816094009"]', '["SCT"]', "selection.toml cannot be used"),
    ],
)
def test_a_broken_file_is_named_and_so_is_what_is_wrong(
    edited: Edited, old: str, new: str, message: str
) -> None:
    edited(old, new)
    with pytest.raises(ConfigError, match=r"selection\.toml cannot be used") as error:
        selection_rules()
    assert message in str(error.value)
