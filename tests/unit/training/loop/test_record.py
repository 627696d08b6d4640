"""Record of a run: one line per update, even if the run was killed in between."""

import io
import json
import sys
from pathlib import Path

import pytest
from rich.console import Console

from training.loop import loss_curve
from training.loop.record import METRICS_FILE, Record, read_metrics


def _tell(folder: Path, first: int, steps: range, console: Console | None = None) -> None:
    with Record(folder, first, 10, console=console or Console(file=io.StringIO())) as record:
        for step in steps:
            record.update(step, {"loss": 1 / step, "accuracy": 0.5, "tokens": 100.0, "seconds": 0.5})


def test_updates_that_are_made_again_are_told_once(tmp_path: Path) -> None:
    _tell(tmp_path, 0, range(1, 6))
    with (tmp_path / METRICS_FILE).open("a") as file:
        file.write('{"step": 6, "lo')  # killed while it wrote
    assert [row["step"] for row in read_metrics(tmp_path)] == [1, 2, 3, 4, 5]
    _tell(tmp_path, 3, range(4, 8))
    rows = [json.loads(line) for line in (tmp_path / METRICS_FILE).read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6, 7]
    assert rows[3] == {"step": 4, "loss": 0.25, "accuracy": 0.5, "tokens": 100.0, "seconds": 0.5}
    assert list((tmp_path / "tensorboard").iterdir())


def test_the_bar_tells_loss_and_tokens_a_second(tmp_path: Path) -> None:
    told = io.StringIO()
    _tell(tmp_path, 0, range(1, 3), Console(file=told, width=200))
    assert "loss 0.5" in told.getvalue()
    assert "200 tokens/s" in told.getvalue()
    assert "2/10" in told.getvalue()


def test_without_tensorboard_the_lines_remain_and_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    told = io.StringIO()
    _tell(tmp_path, 0, range(1, 3), Console(file=told, width=200))
    assert told.getvalue().count("no TensorBoard") == 1
    assert len(read_metrics(tmp_path)) == 2
    assert not (tmp_path / "tensorboard").exists()


def test_the_figure_shows_every_loss_and_share(tmp_path: Path) -> None:
    _tell(tmp_path, 0, range(1, 8))
    loss_curve.draw(tmp_path, "a run", pytest.fail)
    assert "<svg" in (tmp_path / loss_curve.FILE_NAME).read_text()


def test_without_matplotlib_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    notes: list[str] = []
    loss_curve.draw(tmp_path, "a run", notes.append)
    assert "echo-node[plot]" in notes[0]
    assert not (tmp_path / loss_curve.FILE_NAME).exists()
