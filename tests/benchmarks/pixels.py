"""Time and memory that one radiograph takes from its file to the model's input.

    python tests/benchmarks/pixels.py [--rows 2500 --columns 2000 --rounds 5] [--json]

Each syntax is measured in a separate process, on one thread: CPU seconds (also wall-clock time,
but machines are shared), and the peak of resident memory above that before the first file, as
multiples of the file and of its pixels.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
SYNTAXES = {
    "uncompressed": "1.2.840.10008.1.2.1",
    "big endian": "1.2.840.10008.1.2.2",
    "deflated": "1.2.840.10008.1.2.1.99",
    "RLE": "1.2.840.10008.1.2.5",
    "JPEG-LS": "1.2.840.10008.1.2.4.80",
    "JPEG 2000": "1.2.840.10008.1.2.4.90",
    "JPEG lossless": "1.2.840.10008.1.2.4.70",
}


def chest(rows: int, columns: int) -> np.ndarray[Any, np.dtype[np.uint16]]:
    """Return 12-bit values that compress like a radiograph: smooth, with a detector's noise."""
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float32)
    smooth = 2000 + 900 * np.sin(x / columns * 9) + 700 * np.cos(y / rows * 7)
    noise = np.random.default_rng(0).normal(0, 12, (rows, columns))
    return np.asarray(np.clip(smooth + noise, 0, 4095), dtype=np.uint16)


def write(path: Path, syntax: str, rows: int, columns: int) -> None:
    """Write a digital radiograph For Presentation in this syntax, with DCMTK if pydicom cannot."""
    from pydicom.uid import UID, ExplicitVRBigEndian, JPEGLosslessSV1
    from support.radiographs import radiograph
    from support.radiographs import write as write_plain

    image = radiograph(chest(rows, columns), WindowCenter=2000, WindowWidth=3000)
    image.SOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    if syntax == JPEGLosslessSV1:
        plain = write_plain(path.with_suffix(".plain"), image)
        subprocess.run(["/usr/bin/dcmcjpeg", "+e1", plain, path], check=True)
        return
    if UID(syntax).is_encapsulated:
        image.compress(syntax, generate_instance_uid=False)
    elif syntax == ExplicitVRBigEndian:
        image.PixelData = np.frombuffer(image.PixelData, "<u2").byteswap().tobytes()
    image.file_meta.TransferSyntaxUID = UID(syntax)
    write_plain(path, image)


def measure(path: Path, rounds: int) -> dict[str, float]:
    """Return seconds and peak bytes of this process for reading and preparing one file."""
    import torch

    from echo_node.dicom.library_settings import configure_libraries
    from echo_node.dicom.selection.from_file import read_chest_image
    from echo_node.inference.image import ImagePreparation

    torch.set_num_threads(1)
    configure_libraries()
    preparation = ImagePreparation(resize="square")

    def once(file: Path) -> None:
        resized = preparation.resized(read_chest_image(file)[1])
        preparation.patches(torch.from_numpy(resized.copy())[None])

    warm_up = path.with_name("small-" + path.name)
    once(warm_up)
    before = _resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    seconds = []
    for _ in range(rounds):
        wall, cpu = time.perf_counter(), time.process_time()
        once(path)
        seconds.append((time.process_time() - cpu, time.perf_counter() - wall))
    cpu_s, wall_s = (float(np.median(column)) for column in zip(*seconds, strict=True))
    return {"cpu_s": cpu_s, "wall_s": wall_s, "peak_bytes": _resident("VmHWM") - before}


def _resident(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"no {name}")


def bench(rows: int, columns: int, rounds: int) -> list[dict[str, Any]]:
    """Return a row for each syntax."""
    found = []
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    with tempfile.TemporaryDirectory() as folder:
        for name, syntax in SYNTAXES.items():
            path = Path(folder) / "chest.dcm"
            write(path, syntax, rows, columns)
            write(path.with_name("small-chest.dcm"), syntax, 64, 64)
            done = subprocess.run(
                [sys.executable, __file__, "--file", path, "--rounds", str(rounds)],
                env=environment,
                capture_output=True,
                text=True,
                check=True,
            )
            row: dict[str, Any] = {"syntax": name, "file_bytes": path.stat().st_size}
            row["pixel_bytes"] = 2 * rows * columns
            row |= json.loads(done.stdout)
            row["peak_by_file"] = row["peak_bytes"] / row["file_bytes"]
            row["peak_by_pixels"] = row["peak_bytes"] / row["pixel_bytes"]
            found.append(row)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("rows", 2500), ("columns", 2000), ("rounds", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--file", type=Path)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if given.file:
        print(json.dumps(measure(given.file, given.rounds)))
        return
    rows = bench(given.rows, given.columns, given.rounds)
    if given.json:
        print(json.dumps(rows, indent=2))
        return
    print("| syntax | file MB | CPU s | wall s | peak MB | times the file | times the pixels |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        sizes = (f"{row['file_bytes'] / 1e6:.1f}", f"{row['cpu_s']:.2f}", f"{row['wall_s']:.2f}")
        peaks = (
            f"{row['peak_bytes'] / 1e6:.0f}",
            f"{row['peak_by_file']:.1f}",
            f"{row['peak_by_pixels']:.1f}",
        )
        print("| " + " | ".join((row["syntax"], *sizes, *peaks)) + " |")


if __name__ == "__main__":
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    main()
