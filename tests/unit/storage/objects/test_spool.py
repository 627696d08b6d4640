import errno
import os
from pathlib import Path
from typing import NoReturn

import pytest
from support.studies import digest, put, received

from echo_node.errors import InstanceRejected
from echo_node.storage.objects.local import LocalObjects
from echo_node.storage.objects.spool import OUT_OF_RESOURCES, Spool


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_an_instance_is_a_part_10_file_named_by_its_digest(tmp_path: Path) -> None:
    instance = received()
    file = put(Spool(LocalObjects(tmp_path), 0), instance)
    assert (tmp_path / file.path).read_bytes() == instance.part10
    assert file.path.parts[:2] == ("spool", digest(instance)[:2])
    assert file.path.name.startswith(digest(instance))
    assert file.size_bytes == len(instance.part10)


def test_nothing_that_a_peer_sent_is_in_a_path(tmp_path: Path) -> None:
    instance = received(calling="../../etc")
    file = put(Spool(LocalObjects(tmp_path), 0), instance)
    assert "etc" not in str(file.path)
    assert instance.identity.sop_instance_uid not in str(file.path)


def test_each_call_has_a_file_of_its_own(tmp_path: Path) -> None:
    spool, instance = Spool(LocalObjects(tmp_path), 0), received()
    first, second = (put(spool, instance) for _ in range(2))
    spool.discard(second)
    spool.discard(second)
    assert _files(tmp_path) == [tmp_path / first.path]


def test_little_free_disk_refuses_before_anything_is_written(tmp_path: Path) -> None:
    instance = received()
    with pytest.raises(InstanceRejected) as refusal:
        put(Spool(LocalObjects(tmp_path), 2**62), instance)
    assert refusal.value.status == OUT_OF_RESOURCES == 0xA700
    assert _files(tmp_path) == []


def test_a_full_disk_answers_out_of_resources_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool, instance = Spool(LocalObjects(tmp_path), 0), received()

    def full(_: int) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InstanceRejected, match="full") as refusal:
        put(spool, instance)
    assert refusal.value.status == 0xA700
    assert _files(tmp_path) == []


def test_half_written_files_are_cleared(tmp_path: Path) -> None:
    (tmp_path / "spool" / "tmp").mkdir(parents=True)
    (tmp_path / "spool" / "tmp" / "0.part").write_bytes(b"half")
    assert LocalObjects(tmp_path).clear_leftovers() == 1
    assert _files(tmp_path) == []
