"""Edits of node.toml change one line and keep the rest."""

import tomllib

import pytest

from echo_node.config.edit import with_setting
from echo_node.resources import packaged_folder


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", '\n\n[model]\nname = "new"\n'),
        ("[node]\nport = 1\n", '[node]\nport = 1\n\n[model]\nname = "new"\n'),
        ('[model]\nname = "old"\n[node]\nport = 1\n', '[model]\nname = "new"\n[node]\nport = 1\n'),
        ("[model]", '[model]\nname = "new"\n'),
        ("[model]\nthreads = 2\n", '[model]\nname = "new"\nthreads = 2\n'),
        ('[model]  # ours\n# name = "old"\n', '[model]  # ours\nname = "new"\n'),
    ],
)
def test_one_line_is_changed_or_added(before: str, after: str) -> None:
    assert with_setting(before, "model", "name", "new") == after


def test_the_shipped_file_keeps_its_comments() -> None:
    before = (packaged_folder("dicom_config") / "node.toml").read_text(encoding="utf-8")
    after = with_setting(before, "model", "name", "new")
    assert tomllib.loads(after)["model"] == {"name": "new"}
    assert len(after.splitlines()) == len(before.splitlines())
