"""The benchmark of the pixel pipeline measures every syntax. Nothing here asserts a speed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("pixels.py")


@pytest.mark.external
def test_every_syntax_gets_a_row() -> None:
    done = subprocess.run(
        [sys.executable, SCRIPT, "--rows", "300", "--columns", "200", "--rounds", "1", "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    rows = json.loads(done.stdout)
    assert len({row["syntax"] for row in rows}) == 7
    for row in rows:
        assert row["pixel_bytes"] == 120_000
        assert row["cpu_s"] > 0
        assert row["peak_by_file"] == pytest.approx(row["peak_bytes"] / row["file_bytes"])
