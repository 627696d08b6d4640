"""`echo-node bench decode`: that it measures what it says. Nothing here asserts a speed."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from support.console import echo_node

from echo_node.bench.decode import copy_bandwidth
from echo_node.bench.plot import check_target
from echo_node.errors import ConfigError

MODES = {
    "ar_eager",
    "ar",
    "multi_step",
    "one_step",
    "one_step_fused",
    "adaptive",
    "adaptive_mark",
    "adaptive_repair",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("plots")


@pytest.fixture(scope="module")
def rows(folder: Path) -> list[dict[str, Any]]:
    arguments = ["bench", "decode", "--batch", "1,2", "--rounds", "1", "--json"]
    done = echo_node(*arguments, "--plot", "speeds.svg", cwd=folder)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_every_mode_has_a_row_for_every_batch(rows: list[dict[str, Any]]) -> None:
    assert {(row["mode"], row["batch"]) for row in rows} == {(mode, n) for mode in MODES for n in (1, 2)}
    wanted = {
        "vision_ms",
        "prefill_ms",
        "decode_ms",
        "tokens_per_second",
        "tokens_per_forward",
        "ratio_vs_ar",
    }
    assert all(wanted <= row.keys() for row in rows)
    assert all(row["decode_ms"] > 0 for row in rows)


def test_the_figures_agree_with_each_other(rows: list[dict[str, Any]]) -> None:
    by_mode = {row["mode"]: row for row in rows if row["batch"] == 1}
    for row in by_mode.values():
        assert row["tokens_per_second"] == pytest.approx(row["tokens"] / row["decode_ms"] * 1e3)
        ratio = row["tokens_per_second"] / by_mode["ar"]["tokens_per_second"]
        assert row["ratio_vs_ar"] == pytest.approx(ratio)
    assert by_mode["ar"]["tokens_per_forward"] == 1
    assert by_mode["one_step"]["tokens"] == by_mode["one_step_fused"]["tokens"]
    assert by_mode["one_step"]["forwards"] == 2 * by_mode["one_step_fused"]["forwards"] - 1
    assert by_mode["adaptive_mark"]["forwards"] == by_mode["adaptive"]["forwards"] + 1


def test_only_a_gpu_is_held_against_its_bandwidth(rows: list[dict[str, Any]]) -> None:
    if not torch.cuda.is_available():
        assert {row["bandwidth_fraction"] for row in rows} == {None}
    assert copy_bandwidth(torch.device("cpu"), 2**20) > 0


def test_the_plot_is_drawn(rows: list[dict[str, Any]], folder: Path) -> None:
    assert rows
    assert "<svg" in (folder / "speeds.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "message"), [("speeds.bmp", r"must end in one of \.png"), ("no/speeds.svg", "does not exist")]
)
def test_a_plot_that_cannot_be_written_is_known_before_measuring(
    tmp_path: Path, name: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        check_target(tmp_path / name)
