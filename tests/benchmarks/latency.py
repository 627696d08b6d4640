"""Latency of a study, from its last image to a draft that the PACS has acknowledged.

    python tests/benchmarks/latency.py [--studies 60 --beside 1] [--json]

A node as `echo-node serve` runs it, with the demonstration model, delivers to a real Orthanc. The
intended wait (`intake.study_idle_s`) and the model's time (`seconds` in `draft_made`) are
subtracted. The rest is the node's own: noticing that the study is complete, queueing, claiming,
reading the image, encoding, storing, an association to the PACS, its answer, and the rows of all
that. Times are those of the node's log.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from statistics import quantiles
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
IDLE_S = 0.5


def measured(studies: int, beside: int, folder: Path) -> list[float]:
    """Return each study's seconds; *beside* of them are sent at a time."""
    from integration.orthanc import AE_TITLE, Orthanc
    from support.serving import ServedNode, eventually

    from training.phantom.dicom_study import write_study

    paths = [write_study(folder, seed=seed, views=["PA"], size=512)[0] for seed in range(studies)]
    modalities: dict[str, tuple[str, int]] = {}
    orthanc = Orthanc(modalities)
    config = folder / "config"
    config.mkdir()
    (config / "node.toml").write_text(
        f'[delivery]\ndestinations = ["pacs"]\n[intake]\nstudy_idle_s = {IDLE_S}\n'
    )
    (config / "peers.toml").write_text(
        f'[pacs]\nae_title = "{AE_TITLE}"\nhost = "127.0.0.1"\nport = {orthanc.dicom_port}\n'
    )
    with ServedNode(folder, "--config", str(config)) as node:
        node.start("receive", "infer", "deliver")
        modalities["ECHO_NODE"] = ("127.0.0.1", node.port)
        with orthanc:
            for start in range(0, studies, beside):
                send(paths[start : start + beside], node.port)
                there = min(start + beside, studies)

                def all_are_there(count: int = there) -> bool:
                    return len(_delivered(node.events())) >= count

                eventually(all_are_there, "all are delivered")
        events = node.events()
    received, made = _last(events, "instance_recorded"), _last(events, "draft_made")
    return [
        _when(event) - _when(received[study]) - IDLE_S - made[study]["seconds"]
        for study, event in _delivered(events).items()
    ]


def send(paths: Sequence[Path], port: int) -> None:
    """Send images over one association."""
    command = [sys.executable, "-m", "echo_node", "send", *map(str, paths)]
    subprocess.run([*command, "--to", f"ECHO_NODE@127.0.0.1:{port}"], check=True, stdout=subprocess.DEVNULL)


def _delivered(events: Sequence[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    return _last(events, "delivered")


def _last(events: Sequence[dict[str, Any]], name: str) -> dict[int, dict[str, Any]]:
    return {each["study_id"]: each for each in events if each["event"] == name}


def _when(event: dict[str, Any]) -> float:
    return datetime.fromisoformat(event["timestamp"]).timestamp()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--studies", type=int, default=60)
    parser.add_argument("--beside", type=int, default=1, help="studies that are sent at the same time")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="echo-node-latency-") as folder:
        seconds = sorted(measured(arguments.studies, arguments.beside, Path(folder)))
    cuts = quantiles(seconds, n=100, method="inclusive")
    row = {
        "studies": len(seconds),
        "beside": arguments.beside,
        "p50_ms": round(1000 * cuts[49], 1),
        "p99_ms": round(1000 * cuts[98], 1),
        "longest_ms": round(1000 * seconds[-1], 1),
    }
    if arguments.json:
        print(json.dumps(row))
        return
    print(
        f"last image to acknowledged draft, without the wait and the model: p50 {row['p50_ms']} ms, "
        f"p99 {row['p99_ms']} ms, longest {row['longest_ms']} ms ({row['studies']} studies, "
        f"{row['beside']} at a time, {time.monotonic() - begun:.0f} s)"
    )


if __name__ == "__main__":
    main()
