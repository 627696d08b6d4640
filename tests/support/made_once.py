"""Files that one test run needs several times and makes once, for all its processes."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

_FOLDER = "ECHO_TESTS_MADE_ONCE"


def open_folder() -> Path:
    """Create the folder of this run. Processes that it starts find it by a variable."""
    folder = Path(tempfile.mkdtemp(prefix="echo-tests-"))
    os.environ[_FOLDER] = str(folder)
    return folder


def folder(name: str) -> Path:
    """Return a folder that all processes of this run share."""
    shared = Path(os.environ[_FOLDER]) / name
    shared.mkdir(exist_ok=True)
    return shared


def made_once(name: str, make: Callable[[Path], object]) -> Path:
    """Return the folder *name*, which *make* has filled; the first process that asks makes it."""
    target = Path(os.environ[_FOLDER]) / name
    with (target.parent / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            part = target.parent / f"{name}.part"
            shutil.rmtree(part, ignore_errors=True)
            make(part)
            part.rename(target)
    return target
