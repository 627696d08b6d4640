"""`echo-node bench rad`: that both layouts compute one loss. Nothing here asserts a speed."""

import json
from pathlib import Path

import pytest
from support.console import echo_node

from echo_node.bench.rad import Case, bench_rad
from echo_node.errors import PermanentError


@pytest.mark.long
def test_both_layouts_give_the_same_loss_and_the_figures_agree(tmp_path: Path) -> None:
    sizes = ["--prompt", "45", "--response", "20", "--rounds", "1", "--batch", "2"]
    done = echo_node("bench", "rad", *sizes, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["loss_difference"] < 1e-5
    assert found["rad"]["loss"] == pytest.approx(found["full"]["loss"], abs=1e-5)
    assert found["response"] == 27  # 45 + 27 = 9 blocks of 8
    assert found["rad"]["tokens"] == 2 * (45 + 27 + 27 + 45 % 8)
    assert found["full"]["tokens"] == 2 * 2 * (45 + 27)
    for name in ("language_model", "step"):
        expected = found["full"][f"{name}_ms"] / found["rad"][f"{name}_ms"]
        assert found[f"{name}_ratio"] == pytest.approx(expected)
        assert found["rad"]["step_ms"] > found["rad"]["language_model_ms"] > 0


def test_a_process_that_dies_is_named() -> None:
    with pytest.raises(PermanentError, match="measures 'rad' died"):
        bench_rad(Case(45, 27, 8, 1, "none such"), 1, lambda _: None)
