from pathlib import Path

import pytest


@pytest.fixture
def empty_config(tmp_path: Path) -> Path:
    """An empty configuration, so that the configuration of this machine is not read."""
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "node.toml").write_text("", encoding="utf-8")
    return folder
