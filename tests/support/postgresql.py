"""A real PostgreSQL server of our own, in a temporary folder, reached by a socket in it."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def programs() -> Path | None:
    """Return the folder of the newest initdb and pg_ctl; None if PostgreSQL is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).parent if on_path else None


@contextmanager
def server() -> Iterator[str]:
    """Run a server; yield the URL of its first database."""
    with restartable() as (url, _):
        yield url


@contextmanager
def restartable() -> Iterator[tuple[str, Callable[[], None]]]:
    """Run a server; yield the URL of its first database, and a function that restarts it."""
    binaries = programs()
    if binaries is None:
        raise RuntimeError("PostgreSQL is not installed: run `make tools`")
    folder = Path(tempfile.mkdtemp(prefix="echo-pg-"))
    try:
        as_user = []
        if os.geteuid() == 0:  # the server refuses to run as root
            shutil.chown(folder, "postgres", "postgres")
            as_user = ["runuser", "-u", "postgres", "--"]
        data, log = folder / "data", folder / "log"

        def run(*command: str) -> None:
            subprocess.run([*as_user, *command], check=True, capture_output=True, cwd=folder, timeout=60)

        run(str(binaries / "initdb"), "-D", str(data), "-U", "echo", "-A", "trust", "-E", "UTF8", "--no-sync")
        # What a power cut would do to the server is not ours to test: no fsync.
        options = f"-c fsync=off -c listen_addresses='' -c unix_socket_directories='{folder}'"
        control = str(binaries / "pg_ctl")

        def start() -> None:
            run(control, "-D", str(data), "-l", str(log), "-o", options, "-w", "start")

        def stop() -> None:
            run(control, "-D", str(data), "-m", "immediate", "-w", "stop")

        def restart() -> None:
            stop()
            start()

        start()
        try:
            yield f"postgresql://echo@/postgres?host={folder}", restart
        finally:
            stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
