"""Rules of the tiers: what `make test` must not leave out, and what it may."""

from pathlib import Path

import pytest
from faults.scenarios import SCENARIOS
from support import tiers

TESTS = Path(__file__).parents[1]


@pytest.fixture
def collected(pytestconfig: pytest.Config) -> tiers.Files:
    return pytestconfig.stash[tiers.COLLECTED]


def test_every_file_keeps_a_test_in_make_test(collected: tiers.Files) -> None:
    left_out = [path for path, tests in collected.items() if not any(is_kept for _, is_kept in tests)]
    assert left_out == [], "each of these files needs a test that is not marked `long`"


def test_every_scenario_of_the_faults_keeps_its_trial_in_make_test(collected: tiers.Files) -> None:
    tests = collected.get(TESTS / "faults" / "test_faults.py")
    if tests is None:
        pytest.skip("tests/faults was not collected")
    kept = {name for name, is_kept in tests if is_kept}
    assert kept >= {f"test_a_few_trials_of[{name}]" for name in SCENARIOS}


def test_a_file_of_long_tests_alone_is_noticed() -> None:
    class Item:
        def __init__(self, path: str, name: str, *, is_long: bool) -> None:
            self.path, self.name, self._marker = Path(path), name, object() if is_long else None

        def get_closest_marker(self, _name: str) -> object:
            return self._marker

    items = [Item("a", "x", is_long=True), Item("a", "y", is_long=False), Item("b", "z", is_long=True)]
    files = tiers.files_of(items)  # type: ignore[arg-type]
    assert files == {Path("a"): [("x", False), ("y", True)], Path("b"): [("z", False)]}
