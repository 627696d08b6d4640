import errno
import hashlib
import os
from pathlib import Path
from typing import NoReturn

import pytest
from support.studies import document

from echo_node.errors import PermanentError, TransientError
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
