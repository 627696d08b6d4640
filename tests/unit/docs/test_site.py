"""The site fetches nothing from a network."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
FETCHED = re.compile(r"<(?:script|img|link|iframe)[^>]*(?:src|href)=.?https?://[^>]*>")


def test_no_page_fetches_from_a_network(tmp_path: Path) -> None:
    pytest.importorskip("zensical", reason="the extra docs is not installed")
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    command = [sys.executable, "-m", "zensical", "build", "--strict"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) > 40
    fetched = {match for page in pages for match in FETCHED.findall(page.read_text(encoding="utf-8"))}
    assert {each for each in fetched if "canonical" not in each} == set()
