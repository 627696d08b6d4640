"""Record of a run's metrics: a line of JSON per update, TensorBoard, and a progress bar."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from training.file_cache import write_atomically

METRICS_FILE = "metrics.jsonl"
_NOT_DRAWN = ("step", "seconds", "tokens", "learning_rate", "gradient_norm")


class Record:
    """Writer of the metrics of a run's updates."""

    def __init__(self, folder: Path, first: int, steps: int, *, console: Console) -> None:
        """Continue the metrics in a folder.

        Args:
            folder: folder of the run.
            first: number of finished updates; the metrics of later ones are removed.
            steps: total number of updates.
            console: console for the progress bar.
        """
        forget_after(folder, first)
        self._file = (folder / METRICS_FILE).open("a", 1, encoding="utf-8")
        self._board = _tensorboard(folder, first, console.print)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[metrics]}"),
            console=console,
        )
        self._bar = self._progress.add_task("training", total=steps, completed=first, metrics="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()
        self._file.close()
        if self._board is not None:
            self._board.close()

    def update(self, step: int, metrics: dict[str, float]) -> None:
        """Write the metrics of update *step*, from 1; `seconds` and `tokens` are required."""
        self._file.write(json.dumps({"step": step, **metrics}) + "\n")
        if self._board is not None:
            for name, value in metrics.items():
                self._board.add_scalar(name, value, step)
        shown = [f"{name} {value:.3g}" for name, value in metrics.items() if name not in _NOT_DRAWN]
        speed = metrics["tokens"] / metrics["seconds"]
        self._progress.update(self._bar, advance=1, metrics="  ".join([*shown, f"{speed:,.0f} tokens/s"]))


def read_metrics(folder: Path) -> list[dict[str, float]]:
    """Return the metrics of a run's updates; incomplete lines are ignored."""
    path = folder / METRICS_FILE
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.is_file() else []
    return [json.loads(line) for line in lines if line.endswith("}\n")]


def forget_after(folder: Path, step: int) -> None:
    """Keep only the metrics of the first *step* updates, because later updates will run again."""
    remaining = [metrics for metrics in read_metrics(folder) if metrics["step"] <= step]
    text = "".join(json.dumps(metrics) + "\n" for metrics in remaining)
    write_atomically(folder / METRICS_FILE, text)


def _tensorboard(folder: Path, first: int, note: Callable[[str], None]) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ModuleNotFoundError:
        note(f"no TensorBoard: metrics go to {METRICS_FILE} only (pip install 'echo-node[train]' adds it)")
        return None
    return SummaryWriter(str(folder / "tensorboard"), purge_step=first + 1)
