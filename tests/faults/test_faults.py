"""The fault suite in its short form: every scenario a few times. `make faults` is the long one."""

import random
from pathlib import Path

import pytest

from faults.scenarios import SCENARIOS

_FEW = {"fuzzed-data-sets": 3000, "fuzzed-pdus": 60, "sender-dies-in-mid-file": 4}


@pytest.mark.slow
@pytest.mark.external
@pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom's, of spoilt data sets
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_few_trials_of(name: str, tmp_path: Path) -> None:
    tally = SCENARIOS[name].run(tmp_path, random.Random(name), _FEW.get(name, 1))
    assert tally.trials or tally.notes
