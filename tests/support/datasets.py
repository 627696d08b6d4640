"""Pictures and tables of computer-made chests, in the layouts that data sets come in."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from training.datasets.build import BuildOptions, build
from training.datasets.readers import manifest
from training.datasets.shards import Facts

FINDINGS = ("The lungs are clear.", "There is a small left pleural effusion.", "The heart is enlarged.")


def picture(seed: int, size: tuple[int, int] = (80, 64)) -> Image.Image:
    """Return a grey picture of (width, height) that is unlike those of other seeds."""
    rough = np.random.default_rng(seed).integers(0, 256, (12, 12), dtype=np.uint8)
    return Image.fromarray(rough, "L").resize(size, Image.Resampling.BICUBIC)


def write_picture(path: Path, seed: int, size: tuple[int, int] = (80, 64)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture(seed, size).save(path)
    return path


def write_csv(path: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    return path


def manifest_rows(folder: Path, count: int, split: str = "train") -> list[dict[str, object]]:
    """Write pictures and return their rows, each of a patient of its own."""
    return [
        {
            "image": write_picture(folder / f"{number}.png", number).name,
            "patient": f"patient {number}",
            "findings": FINDINGS[number % len(FINDINGS)],
            "impression": "See above.",
            "view": "PA",
            "split": split,
        }
        for number in range(count)
    ]


def build_manifest(folder: Path, out: Path, rows: Sequence[Mapping[str, object]]) -> Facts:
    table = write_csv(folder / "rows.csv", rows)
    return build(manifest.read(table), out, BuildOptions(out.name, "manifest"))
