"""What a run tells while it trains: a line of JSON for each update, TensorBoard, a progress bar."""

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
    """The metrics of a run's updates."""

    def __init__(self, folder: Path, first: int, steps: int, *, console: Console) -> None:
        """Go on with a folder's metrics.

        Args:
            folder: the run's.
            first: how many updates have been made; what was told of later ones is forgotten.
            steps: how many there will be.
            console: gets the progress bar.
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
        """Tell the metrics of update *step*, counted from 1; `seconds` and `tokens` are among them."""
        self._file.write(json.dumps({"step": step, **metrics}) + "\n")
        if self._board is not None:
            for name, value in metrics.items():
                self._board.add_scalar(name, value, step)
        shown = [f"{name} {value:.3g}" for name, value in metrics.items() if name not in _NOT_DRAWN]
        speed = metrics["tokens"] / metrics["seconds"]
        self._progress.update(self._bar, advance=1, metrics="  ".join([*shown, f"{speed:,.0f} tokens/s"]))


def read_metrics(folder: Path) -> list[dict[str, float]]:
    """Return the metrics of a run's updates, as far as whole lines were written."""
    path = folder / METRICS_FILE
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.is_file() else []
    return [json.loads(line) for line in lines if line.endswith("}\n")]


def forget_after(folder: Path, step: int) -> None:
    """Keep the metrics of the first *step* updates only: the others will be made again."""
    kept = [metrics for metrics in read_metrics(folder) if metrics["step"] <= step]
    text = "".join(json.dumps(metrics) + "\n" for metrics in kept)
    write_atomically(folder / METRICS_FILE, text)


def _tensorboard(folder: Path, first: int, note: Callable[[str], None]) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ModuleNotFoundError:
        note(f"no TensorBoard (pip install 'echo-node[train]'): metrics go to {METRICS_FILE} only")
        return None
    return SummaryWriter(str(folder / "tensorboard"), purge_step=first + 1)
