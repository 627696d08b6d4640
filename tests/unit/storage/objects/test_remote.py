"""Errors between this machine and an object store, on fsspec's store in memory."""

import errno
import fcntl
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

import fsspec
import pytest
from support.studies import put, received

from echo_node.errors import ConfigError, InstanceRejected, PermanentError, TransientError, Unavailable
from echo_node.settings import NodeSettings, Settings, StorageSettings
from echo_node.storage.objects.remote import RemoteObjects
from echo_node.storage.objects.spool import OUT_OF_RESOURCES, Spool
from echo_node.wiring.storage import open_objects

NAME = "spool/ab/ab01.dcm"


class Faulty:
    """A file system of which some functions were replaced; it remembers what it was asked for."""

    def __init__(self, **replaced: Callable[..., Any]) -> None:
        self._whole = fsspec.filesystem("memory", use_listings_cache=False, skip_instance_cache=True)
        self._replaced = replaced
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Any:
        self.asked.append(name)
        return self._replaced.get(name) or getattr(self._whole, name)


def failing(error: Exception) -> Callable[..., NoReturn]:
    def fail(*_: object, **__: object) -> NoReturn:
        raise error

    return fail


@pytest.fixture
def root(tmp_path: Path) -> str:
    return f"/bucket{tmp_path}"  # the store is one for the whole process


def remote(root: str, data_dir: Path, **replaced: Callable[..., Any]) -> RemoteObjects:
    return RemoteObjects(Faulty(**replaced), root, data_dir, 0)


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_what_the_store_keeps_a_part_of_is_not_stored(root: str, tmp_path: Path) -> None:
    whole = fsspec.filesystem("memory")

    def put_half(local: str, key: str) -> None:
        whole.pipe_file(key, Path(local).read_bytes()[:3])

    objects = remote(root, tmp_path, put_file=put_half)
    with pytest.raises(TransientError, match="3 of 6 bytes"):
        objects.put(NAME, (b"abc", b"def"))
    assert not objects.contains(NAME)
    assert _files(tmp_path) == []


def test_what_the_store_says_it_took_and_has_not_is_not_stored(root: str, tmp_path: Path) -> None:
    objects = remote(root, tmp_path, put_file=lambda local, key: None)
    with pytest.raises(TransientError, match="FileNotFoundError"):
        objects.put(NAME, (b"abc",))
    assert _files(tmp_path) == []


@pytest.mark.parametrize("error", [TimeoutError("x"), PermissionError("x"), OSError(errno.EIO, "x")])
def test_a_store_that_does_not_answer_is_transient_for_everyone(
    root: str, tmp_path: Path, error: OSError
) -> None:
    remote(root, tmp_path).put(NAME, (b"abc",))
    asked = ("put_file", "cat_file", "get_file", "exists", "ls", "pipe_file")
    away = remote(root, tmp_path, **dict.fromkeys(asked, failing(error)))
    uses = (
        lambda: away.put(NAME, (b"x",)),
        lambda: away.read(NAME),
        lambda: away.local_paths([NAME]).__enter__(),
        lambda: away.contains(NAME),
        lambda: list(away.older_than(0)),
        away.ping,
    )
    for use in uses:
        with pytest.raises(TransientError, match=type(error).__name__) as caught:
            use()
        assert "ab01" not in str(caught.value)
    assert _files(tmp_path) == []


def test_one_object_that_cannot_be_had_is_told_from_a_store_that_is_away(root: str, tmp_path: Path) -> None:
    """The first is retried a few times, so as not to stop the rest; the second is awaited."""
    error = failing(OSError(errno.EIO, "x"))
    remote(root, tmp_path).put(NAME, (b"abc",))
    for more, expected in (({}, TransientError), ({"exists": error}, Unavailable)):
        objects = remote(root, tmp_path, cat_file=error, get_file=error, **more)
        for use in (lambda: objects.read(NAME), lambda: objects.local_paths([NAME]).__enter__()):  # noqa: B023
            with pytest.raises(TransientError) as caught:
                use()
            assert type(caught.value) is expected


def test_removing_from_a_store_that_does_not_answer_is_left_for_the_sweep(root: str, tmp_path: Path) -> None:
    remote(root, tmp_path, rm_file=failing(TimeoutError())).remove(NAME)


def test_a_store_of_another_name_loses_nothing(root: str, tmp_path: Path) -> None:
    """A wrong storage.url on one machine must not make dead letters of all that it looks for."""
    objects = remote(root, tmp_path)
    with pytest.raises(Unavailable, match=r"storage\.url"):
        objects.read(NAME)
    with pytest.raises(Unavailable, match=r"storage\.url"), objects.local_paths([NAME]):
        pass
    objects.put("spool/cd/another.dcm", (b"x",))
    with pytest.raises(PermanentError, match="not in the object store"):
        objects.read(NAME)


def test_a_full_store_and_a_full_disk_are_told_to_the_sender(
    root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = received()
    full = remote(root, tmp_path, put_file=failing(OSError(errno.ENOSPC, "quota")))
    with pytest.raises(InstanceRejected, match="full") as refusal:
        put(Spool(full, 0), instance)
    assert refusal.value.status == OUT_OF_RESOURCES

    objects = remote(root, tmp_path)
    monkeypatch.setattr(fcntl, "flock", failing(OSError(errno.ENOSPC, "No space left on device")))
    with pytest.raises(InstanceRejected, match="full") as refusal:
        put(Spool(objects, 0), instance)
    assert refusal.value.status == OUT_OF_RESOURCES
    assert _files(tmp_path) == []


def test_little_free_disk_refuses_before_anything_is_sent_or_fetched(root: str, tmp_path: Path) -> None:
    instance, file_system = received(), Faulty()
    objects = RemoteObjects(file_system, root, tmp_path, 2**62)
    file_system.asked.clear()
    with pytest.raises(InstanceRejected) as refusal:
        put(Spool(objects, 2**62), instance)
    assert refusal.value.status == OUT_OF_RESOURCES
    with pytest.raises(TransientError, match="minimum_free_bytes"), objects.local_paths([NAME]):
        pass
    assert file_system.asked == []
    assert _files(tmp_path) == []


def test_a_machine_without_a_data_folder_yet_has_room(root: str, tmp_path: Path) -> None:
    assert remote(root, tmp_path / "not" / "yet").free_bytes > 0


def test_what_was_fetched_goes_with_its_reader(root: str, tmp_path: Path) -> None:
    objects = remote(root, tmp_path)
    objects.put(NAME, (b"abc",))
    with suppress(RuntimeError), objects.local_paths([NAME]) as (path,):
        assert path.read_bytes() == b"abc"
        raise RuntimeError
    assert _files(tmp_path) == []


def test_what_a_killed_reader_left_goes_and_what_a_living_one_has_stays(root: str, tmp_path: Path) -> None:
    objects = remote(root, tmp_path)
    objects.put(NAME, (b"abc",))
    left = tmp_path / "fetched" / "dead" / "image.dcm"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"patient data")
    with objects.local_paths([NAME]) as (first,):
        assert not left.exists()
        with objects.local_paths([NAME]) as (second,):
            assert (first.read_bytes(), second.read_bytes()) == (b"abc", b"abc")
        assert first.exists()
    assert _files(tmp_path) == []


def test_orphans_are_as_old_as_the_stores_clock_says(root: str, tmp_path: Path) -> None:
    """With our clock hours ahead of the store's, a new object must not look abandoned."""
    whole = fsspec.filesystem("memory")

    def hours_ago(entry: dict[str, Any]) -> dict[str, Any]:
        return entry | {"LastModified": datetime.now(UTC) - timedelta(hours=5)}

    objects = remote(
        root,
        tmp_path,
        info=lambda key: hours_ago(whole.info(key)),
        ls=lambda key, detail: [hours_ago(each) for each in whole.ls(key, detail=detail)],
    )
    objects.put(NAME, (b"abc",))
    assert list(objects.older_than(3600)) == []
    assert list(objects.older_than(-60)) == [NAME]


def _create_unknown(key: str, content: bytes, mode: str = "overwrite") -> None:
    if mode == "create":
        raise OSError(errno.ENOSYS, "A header you provided implies functionality that is not implemented")
    fsspec.filesystem("memory").pipe_file(key, content)


def test_where_no_condition_is_known_the_owner_is_written_all_the_same(root: str, tmp_path: Path) -> None:
    objects = remote(root, tmp_path, pipe_file=_create_unknown)
    objects.write_owner(b"one", replacing=False)
    objects.write_owner(b"other", replacing=False)
    assert objects.read_owner() == b"one"


def test_an_owner_that_is_there_is_kept_whatever_the_store_says_of_it(root: str, tmp_path: Path) -> None:
    """S3 services answer If-None-Match with 412, some in words that s3fs does not know."""
    remote(root, tmp_path).write_owner(b"one", replacing=False)
    objects = remote(root, tmp_path, pipe_file=failing(OSError(errno.EINVAL, "PreconditionFailed")))
    objects.write_owner(b"other", replacing=False)
    assert objects.read_owner() == b"one"


def test_a_store_that_does_not_answer_has_no_owner_and_gets_none(root: str, tmp_path: Path) -> None:
    objects = remote(root, tmp_path, pipe_file=failing(TimeoutError()))
    with pytest.raises(TransientError):
        objects.write_owner(b"one", replacing=False)
    away = remote(root, tmp_path, cat_file=failing(FileNotFoundError()), exists=lambda _: False)
    with pytest.raises(TransientError, match="no bucket"):
        away.read_owner()


def test_a_url_of_no_kind_that_is_known_is_a_configuration_error(tmp_path: Path) -> None:
    unknown = Settings(node=NodeSettings(data_dir=tmp_path), storage=StorageSettings(url="nonsense://bucket"))
    with pytest.raises(ConfigError, match="nonsense"):
        open_objects(unknown)


@pytest.mark.parametrize("missing", ["s3fs", "fsspec"])
def test_a_package_that_is_missing_is_a_configuration_error_that_says_what_to_install(
    tmp_path: Path, missing: str
) -> None:
    program = (
        f"import sys; sys.modules[{missing!r}] = None; from echo_node.settings import *;"
        "from pathlib import Path; from echo_node.errors import ConfigError;"
        "from echo_node.wiring.storage import open_objects\n"
        f"made = Settings(node=NodeSettings(data_dir=Path({str(tmp_path)!r})),"
        "storage=StorageSettings(url='s3://bucket/echo'))\n"
        "try: open_objects(made)\n"
        "except ConfigError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "install echo-node[s3]" in done.stdout, done.stderr


def test_a_node_of_one_machine_knows_nothing_of_object_stores(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from echo_node.settings import *;"
        "from echo_node.wiring.storage import open_storage;"
        f"open_storage(Settings(node=NodeSettings(data_dir=Path({str(tmp_path)!r}))));"
        "sys.exit(bool({'fsspec', 's3fs', 'botocore', 'aiohttp'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], env=os.environ, check=False).returncode == 0
