"""Malformed headers through the command `echo-node report`, in processes of their own."""

import json
import random
import subprocess
import sys
from pathlib import Path

from spoil.in_process import errors_of
from spoil.outcomes import DRAFTED, EXCEPTION, HELD, REFUSED, SKIPPED, Outcomes
from spoil.spoilings import Spoilt, spoil

_FILES_A_PROCESS = 25
_SETTINGS = ("--set", "selection.view_check=off")


def run(folder: Path, first: int, count: int, randomness: random.Random) -> Outcomes:
    """Try headers with these numbers; of each process, one document is written and checked."""
    outcomes = Outcomes()
    for start in range(first, first + count, _FILES_A_PROCESS):
        numbers = range(start, min(start + _FILES_A_PROCESS, first + count))
        several = [spoil(number, randomness) for number in numbers]
        _draft(folder, several, outcomes)
        _document(folder, several[0], outcomes)
    return outcomes


def _draft(folder: Path, several: list[Spoilt], outcomes: Outcomes) -> None:
    files = [each.write(folder / f"{number}.dcm") for number, each in enumerate(several)]
    done = _command(*map(str, files), "--json")
    try:
        found = json.loads(done.stdout)
        rows = [found] if len(files) == 1 else list(found)
    except ValueError:
        outcomes.faults.append(f"no answer in JSON: {done.stderr[-500:]}")
        return
    if "Traceback" in done.stderr:
        outcomes.faults.append(done.stderr[-500:])
    for spoilt, row in zip(several, rows, strict=True):
        reason = str(row["error"] or row["skipped"] or "")
        if row["skipped"]:
            outcome = SKIPPED
        elif row["error"]:
            outcome = HELD if "a draft cannot state it" in reason else REFUSED
        else:
            outcome = DRAFTED if row["findings"] or row["impression"] else EXCEPTION
        outcomes.add(spoilt.how, needless=spoilt.is_needless, outcome=outcome, reason=reason)


def _document(folder: Path, spoilt: Spoilt, outcomes: Outcomes) -> None:
    document = folder / "document.dcm"
    document.unlink(missing_ok=True)
    done = _command(str(spoilt.write(folder / "image.dcm")), "--sr", str(document))
    if "Traceback" in done.stderr:
        outcomes.faults.append(done.stderr[-500:])
    if document.exists():
        outcomes.checked += 1
        outcomes.faults += [f"{spoilt.how}: {each}" for each in errors_of(document)]


def _command(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "echo_node", "report", *arguments, *_SETTINGS],
        capture_output=True,
        text=True,
        timeout=600,
    )
