"""The spoil suite in its short form: a few hundred headers. `make spoil` is the long one."""

import random
from pathlib import Path

import pytest

from spoil.__main__ import main
from spoil.in_process import InProcess

pytestmark = [pytest.mark.slow, pytest.mark.external]


@pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom's, of malformed data sets
def test_no_spoilt_header_ends_a_draft_by_an_exception(tmp_path: Path) -> None:
    outcomes = InProcess(tmp_path).run(0, 300, random.Random("spoilt headers"))
    assert outcomes.faults == []
    assert outcomes.share_drafted >= 0.9, "of a small sample; make spoil wants 0.95"


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_command_and_a_node_take_spoilt_headers(tmp_path: Path) -> None:
    arguments = ["--in-process", "0", "--by-command", "4", "--on-the-wire", "8", "--seed", "3"]
    assert main(arguments, tmp_path / "spoil.json") == 0
