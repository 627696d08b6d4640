import fcntl
import os
from pathlib import Path

import pytest

from echo_node import durable_files


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    folder = tmp_path / "tmp"
    folder.mkdir()
    return folder


def test_a_file_is_whole_and_nothing_else_is_left(tmp_path: Path, temporary: Path) -> None:
    target = tmp_path / "new" / "folder" / "file"
    durable_files.write_durably(target, [b"a", b"b"], temporary_folder=temporary)
    assert target.read_bytes() == b"ab"
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("failing", ["fsync", "rename", "write"])
def test_a_failure_at_any_step_leaves_nothing(
    tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    def chunks() -> object:
        yield b"the beginning"
        if failing == "write":
            fail()

    if failing == "fsync":
        monkeypatch.setattr(os, "fsync", fail)
    if failing == "rename":
        monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(OSError, match="No space"):
        durable_files.write_durably(tmp_path / "file", chunks(), temporary_folder=temporary)  # type: ignore[arg-type]
    assert [path.name for path in tmp_path.iterdir()] == ["tmp"]
    assert list(temporary.iterdir()) == []


def test_a_folder_that_cannot_be_synced_leaves_no_file(
    tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Path) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(durable_files, "fsync_folder", fail)
    with pytest.raises(OSError, match="Input/output"):
        durable_files.write_durably(tmp_path / "file", [b"x"], temporary_folder=temporary)
    assert not (tmp_path / "file").exists()


def test_leftovers_go_and_files_being_written_stay(temporary: Path) -> None:
    (temporary / "dead.part").write_bytes(b"half")
    with (temporary / "alive.part").open("xb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert durable_files.clear_leftovers(temporary) == 1
        assert [path.name for path in temporary.iterdir()] == ["alive.part"]
    assert durable_files.clear_leftovers(temporary) == 1


def test_a_file_that_is_taken_for_a_leftover_before_its_lock_is_created_again(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, removed = fcntl.flock, list[int]()

    def after_a_sweep(file: int, operation: int) -> None:
        if operation == fcntl.LOCK_EX and not removed:
            removed.append(durable_files.clear_leftovers(temporary))
        lock(file, operation)

    monkeypatch.setattr(fcntl, "flock", after_a_sweep)
    with durable_files.temporary_file(temporary) as (_, path):
        assert path.exists()
        assert durable_files.clear_leftovers(temporary) == 0
    assert removed == [1]
    assert list(temporary.iterdir()) == []


def test_a_disk_that_is_full_is_told_once_and_nothing_is_left(temporary: Path) -> None:
    """Not again when the file is closed, which tries to write what could not be written."""
    full = os.open("/dev/full", os.O_WRONLY)
    with durable_files.temporary_file(temporary) as (file, _):
        os.dup2(full, file.fileno())
        file.write(b"content")
        with pytest.raises(OSError, match="No space left"):
            file.flush()
    os.close(full)
    assert list(temporary.iterdir()) == []
