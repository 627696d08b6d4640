import errno
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import pytest
from support.studies import document

from echo_node.errors import LeaseLost, PermanentError, TransientError
from echo_node.storage.objects.local import LocalObjects
from echo_node.storage.objects.outbox import Outbox


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_a_document_comes_back_byte_for_byte(tmp_path: Path) -> None:
    outbox = Outbox(LocalObjects(tmp_path))
    path = outbox.put(document(1, 1))
    assert path.name.startswith(document(1, 1).sop_instance_uid)
    assert outbox.read(str(path), _sha256(b"draft")) == b"draft"


def test_a_later_write_never_changes_an_earlier_one(tmp_path: Path) -> None:
    outbox = Outbox(LocalObjects(tmp_path))
    first = outbox.put(document(1, 1))
    outbox.put(document(1, 1, b"other words"))
    assert outbox.read(str(first), _sha256(b"draft")) == b"draft"


def test_what_is_gone_or_changed_is_not_sent(tmp_path: Path) -> None:
    outbox = Outbox(LocalObjects(tmp_path))
    path = outbox.put(document(1, 1))
    with pytest.raises(PermanentError, match="changed"):
        outbox.read(str(path), _sha256(b"other"))
    outbox.discard(path)
    with pytest.raises(PermanentError, match="cannot be read"):
        outbox.read(str(path), _sha256(b"draft"))


def test_a_full_disk_is_transient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outbox = Outbox(LocalObjects(tmp_path))

    def full(_: int) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TransientError):
        outbox.put(document(1, 1))
    assert [path for path in (tmp_path / "outbox").rglob("*") if path.is_file()] == []


def _files(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "outbox").rglob("*") if path.is_file())


def _store(outbox: Outbox, failure: BaseException | None = None) -> None:
    """Write two files; then commit, or fail."""
    with outbox.write() as files:
        files.put(document(1, 1))
        files.keep("2.25.1", b"{}")
        if failure is not None:
            raise failure


def test_files_stay_when_their_rows_are_committed(tmp_path: Path) -> None:
    _store(Outbox(LocalObjects(tmp_path)))
    assert len(_files(tmp_path)) == 2


@pytest.mark.parametrize("failure", [LeaseLost("another's"), PermanentError("not that"), ValueError("a bug")])
def test_files_go_when_no_row_was_committed(tmp_path: Path, failure: Exception) -> None:
    with pytest.raises(type(failure)):
        _store(Outbox(LocalObjects(tmp_path)), failure)
    assert _files(tmp_path) == []


@pytest.mark.parametrize("failure", [TransientError("the answer was lost"), KeyboardInterrupt()])
def test_files_stay_when_their_rows_may_have_been_committed(tmp_path: Path, failure: BaseException) -> None:
    with pytest.raises(type(failure)):
        _store(Outbox(LocalObjects(tmp_path)), failure)
    assert len(_files(tmp_path)) == 2


@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt()])
def test_files_go_when_one_of_them_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    objects = LocalObjects(tmp_path)
    put = objects.put

    def fail_at_the_draft(name: str, chunks: Sequence[bytes]) -> None:
        if name.endswith(".json"):
            raise failure
        put(name, chunks)

    monkeypatch.setattr(objects, "put", fail_at_the_draft)
    with pytest.raises((TransientError, KeyboardInterrupt)):
        _store(Outbox(objects))
    assert _files(tmp_path) == []
