"""The fault suite in its short form: every scenario a few times. `make faults` is the long one."""

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from faults import __main__ as command
from faults.scenarios import SCENARIOS, Scenario
from faults.world import Broken, Tally

_FEW = {"fuzzed-data-sets": 3000, "fuzzed-pdus": 60, "sender-dies-in-mid-file": 4}


@pytest.mark.slow
@pytest.mark.external
@pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom's, of malformed data sets
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_few_trials_of(name: str, tmp_path: Path) -> None:
    tally = SCENARIOS[name].run(tmp_path, random.Random(name), _FEW.get(name, 1))
    assert tally.trials or tally.notes


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[str]]:
    """Run three scenarios, the second of which fails or ends the run; return those that ran."""
    how, ran = ["kept"], list[str]()

    def runs(name: str) -> Callable[[Path, random.Random, int], Tally]:
        def run(_folder: Path, randomness: random.Random, trials: int) -> Tally:
            ran.append(f"{name} {randomness.randrange(10**9)}")
            if name == "second" and how[0] == "interrupted":
                raise KeyboardInterrupt
            if name == "second" and how[0] == "broken":
                raise Broken("something was lost")
            return Tally(trials, acknowledged=7)

        return run

    scenarios = {name: Scenario(name, 2, runs(name)) for name in ("first", "second", "third")}
    monkeypatch.setattr(command, "SCENARIOS", scenarios)

    def told(what: str) -> list[str]:
        how[0] = what
        ran.clear()
        return ran

    return told


def test_an_interrupted_run_resumes_with_its_seed(
    interrupted: Callable[[str], list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = tmp_path / "runs" / "state.json"
    ran = interrupted("interrupted")
    with pytest.raises(KeyboardInterrupt):
        command.main([], state)
    assert [each.split()[0] for each in ran] == ["first", "second"]
    assert list(json.loads(state.read_text())["finished"]) == ["first"]
    second = ran[1]
    ran = interrupted("kept")
    assert command.main([], state) == 0
    assert (ran[0], [each.split()[0] for each in ran]) == (second, ["second", "third"])
    said = capsys.readouterr().out
    assert "resumed: 1 of 3 scenarios are finished" in said
    rows = [line.split()[:3] for line in said.splitlines()]
    assert [row for row in rows if row[1:] == ["2", "7"]] == [
        [name, "2", "7"] for name in ("first", "second", "third")
    ]
    assert "minutes in all" in said
    assert not state.exists()


def test_a_broken_promise_runs_again_and_a_restart_runs_all(
    interrupted: Callable[[str], list[str]], tmp_path: Path
) -> None:
    state = tmp_path / "state.json"
    ran = interrupted("broken")
    assert command.main([], state) == 1
    assert [each.split()[0] for each in ran] == ["first", "second", "third"]
    ran = interrupted("broken")
    assert command.main([], state) == 1
    assert [each.split()[0] for each in ran] == ["second"]
    ran = interrupted("broken")
    assert command.main(["--trials", "1"], state) == 1
    assert len(ran) == 3, "results of other numbers of trials are not taken"
    ran = interrupted("kept")
    assert command.main(["--trials", "1", "--only", "third"], state) == 0
    assert [each.split()[0] for each in ran] == ["third"]
    assert state.exists(), "a run of chosen scenarios leaves an interrupted run alone"
    ran = interrupted("kept")
    assert command.main(["--trials", "1", "--restart"], state) == 0
    assert len(ran) == 3
