"""Benchmark of receiving: images per second, compared with other receivers and with the disk alone.

All receivers get the same bytes from the same senders, one after another in every round, so that
other load on the machine affects them all. Only the receivers marked durable still have every
acknowledged image after a power cut.
"""

from __future__ import annotations

import os
import secrets
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from echo_node.bench.receivers import AE_TITLE, DCMTK_NAME, Memory, Receiver, receivers, running
from echo_node.bench.sending import send_side_by_side
from echo_node.durable_files import write_durably
from echo_node.errors import PermanentError

CEILING = "the disk alone"
"""Name of the row for the disk alone, which sets the upper limit.

One writer per association writes a file, syncs it, renames it and syncs the folder.
"""

_FIGURES = (
    "images_per_second",
    "megabytes_per_second",
    "p50_ms",
    "p99_ms",
    "peak_memory_mb",
    "ratio_vs_storescp",
    "ratio_vs_disk",
)


@dataclass(frozen=True, slots=True)
class Load:
    """Load of a measurement.

    Attributes:
        size_mb: size of an image, in megabytes.
        associations: number of concurrent associations.
        images: total number of images.
    """

    size_mb: float
    associations: int
    images: int

    @property
    def size_bytes(self) -> int:
        """Size of the pixels of an image, in bytes."""
        return int(self.size_mb * 1e6)

    @property
    def images_per_association(self) -> int:
        """Number of images that one association sends."""
        return max(1, self.images // self.associations)


def bench_receive(
    loads: Sequence[Load], rounds: int, folder: Path, progress: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Measure every installed receiver under every load.

    Args:
        loads: loads to send.
        rounds: number of turns of each receiver; the result has the medians.
        folder: folder on the disk to measure.
        progress: receives a line about each measurement.

    Returns:
        A row for each receiver and load: `receiver`, `durable`, `size_mb`, `associations`,
        `images_per_second`, `megabytes_per_second`, `p50_ms` and `p99_ms` of a C-STORE,
        `peak_memory_mb` above idle, `ratio_vs_storescp` and `ratio_vs_disk` of the images per
        second, and `failed`: the reason if a receiver could not handle the load.
    """
    rows: list[dict[str, Any]] = []
    for load in loads:
        turns: dict[str, list[dict[str, float]]] = {}
        failed: dict[str, str] = {}
        durable = {each.name: each.is_durable for each in receivers()} | {CEILING: True}
        for turn in range(rounds):
            for receiver in (each for each in receivers() if each.name not in failed):
                progress(f"{load.size_mb} MB x {load.associations}, turn {turn + 1}: {receiver.name}")
                try:
                    turns.setdefault(receiver.name, []).append(_measure(receiver, load, folder))
                except PermanentError as error:
                    failed[receiver.name] = str(error)
            turns.setdefault(CEILING, []).append(_measure_disk(load, folder))
        measured = {name: taken for name, taken in turns.items() if name not in failed}
        rows += [*_failures(load, failed, durable), *_rows(load, measured, durable)]
    return rows


def _failures(load: Load, failed: dict[str, str], durable: dict[str, bool]) -> Iterator[dict[str, Any]]:
    for name, reason in failed.items():
        row = {
            "receiver": name,
            "durable": durable[name],
            "size_mb": load.size_mb,
            "associations": load.associations,
        }
        yield row | dict.fromkeys(_FIGURES) | {"failed": reason}


def _rows(
    load: Load, turns: dict[str, list[dict[str, float]]], durable: dict[str, bool]
) -> Iterator[dict[str, Any]]:
    median = {
        name: {figure: statistics.median(turn[figure] for turn in taken) for figure in taken[0]}
        for name, taken in turns.items()
    }
    for name, figures in median.items():
        speed = figures["images_per_second"]
        yield {
            "receiver": name,
            "durable": durable[name],
            "size_mb": load.size_mb,
            "associations": load.associations,
            "images_per_second": speed,
            "megabytes_per_second": speed * load.size_mb,
            "p50_ms": figures.get("p50_ms"),
            "p99_ms": figures.get("p99_ms"),
            "peak_memory_mb": figures.get("peak_memory_mb"),
            "ratio_vs_storescp": speed / median[DCMTK_NAME]["images_per_second"]
            if DCMTK_NAME in median
            else None,
            "ratio_vs_disk": speed / median[CEILING]["images_per_second"],
            "failed": None,
        }


def _measure(receiver: Receiver, load: Load, folder: Path) -> dict[str, float]:
    with _temporary_folder(folder) as place, running(receiver, place / "receiver") as (port, pid):
        send_side_by_side(port, AE_TITLE, load.size_bytes, 1, 2)  # warm-up
        memory = Memory(pid)
        sent = send_side_by_side(
            port, AE_TITLE, load.size_bytes, load.associations, load.images_per_association
        )
        peak_mb = memory.stop()
    seconds = sorted(second for times in sent for second in times.seconds)
    span = max(times.ended for times in sent) - min(times.begun for times in sent)
    return {
        "images_per_second": len(seconds) / span,
        "p50_ms": 1e3 * statistics.median(seconds),
        "p99_ms": 1e3 * seconds[min(len(seconds) - 1, int(0.99 * len(seconds)))],
        "peak_memory_mb": peak_mb,
    }


def _measure_disk(load: Load, folder: Path) -> dict[str, float]:
    writers = load.associations
    with _temporary_folder(folder) as place, ProcessPoolExecutor(writers, get_context("spawn")) as pool:
        write = partial(_write, place, load.size_bytes)
        list(pool.map(write, [1] * writers))  # starts the processes
        started = time.monotonic()
        count = sum(pool.map(write, [load.images_per_association] * writers))
        return {"images_per_second": count / (time.monotonic() - started)}


def _write(folder: Path, size_bytes: int, images: int) -> int:
    content = os.urandom(size_bytes)
    target = folder / secrets.token_hex(4)
    for number in range(images):
        write_durably(target / f"{number}.dcm", (content,), temporary_folder=folder)
    return images


@contextmanager
def _temporary_folder(folder: Path) -> Iterator[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        dir=folder, prefix="echo-node-bench-", ignore_cleanup_errors=True
    ) as name:
        yield Path(name)
