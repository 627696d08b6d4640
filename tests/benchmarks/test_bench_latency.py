"""The benchmark of the whole way runs. Nothing here asserts a speed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from integration.orthanc import PROGRAM

SCRIPT = Path(__file__).with_name("latency.py")


@pytest.mark.external
@pytest.mark.slow
@pytest.mark.skipif(PROGRAM is None, reason="Orthanc is not installed")
def test_every_study_is_measured() -> None:
    done = subprocess.run(
        [sys.executable, SCRIPT, "--studies", "4", "--beside", "2", "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    row = json.loads(done.stdout)
    assert (row["studies"], row["beside"]) == (4, 2)
    assert 0 < row["p50_ms"] <= row["p99_ms"] <= row["longest_ms"]
