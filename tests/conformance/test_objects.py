"""Stores of images and drafts: a folder and an S3 service behave the same."""

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.studies import MODEL, SentInstance, SetClock, document, put, received, selection, store

from echo_node.domain.ports import DeliveryOutcome
from echo_node.domain.work.drafting import NewDraft
from echo_node.domain.work.lifecycle import StudyState
from echo_node.durable_files import temporary_file
from echo_node.errors import PermanentError
from echo_node.pipeline.receive import Intake
from echo_node.settings import RetentionSettings, Settings
from echo_node.storage.objects.store import ObjectStore
from echo_node.storage.open import Storage
from echo_node.storage.operations.backup import back_up, data_set_of, restore
from echo_node.wiring.storage import open_objects, open_storage

SettingsOf = Callable[[Path], Settings]
NAMES = ("spool/ab/ab01.dcm", "spool/cd/cd02.dcm", "outbox/1.2.3-04.dcm")


@pytest.fixture
def objects(settings_of: SettingsOf, tmp_path: Path) -> ObjectStore:
    return open_objects(settings_of(tmp_path / "here"))


@pytest.fixture
def elsewhere(settings_of: SettingsOf, tmp_path: Path, request: pytest.FixtureRequest) -> ObjectStore:
    """The same objects as another machine sees them; with nothing shared, another process."""
    shares_nothing = "data folder" in request.node.name
    return open_objects(settings_of(tmp_path / ("here" if shares_nothing else "there")))


def test_what_one_machine_wrote_another_reads(objects: ObjectStore, elsewhere: ObjectStore) -> None:
    for number, name in enumerate(NAMES):
        assert not elsewhere.contains(name)
        objects.put(name, (b"meta", b"%d" % number))
        assert elsewhere.contains(name)
        assert elsewhere.read(name) == b"meta%d" % number
    elsewhere.ping()


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chunks=st.lists(st.binary(max_size=2**17), max_size=4))
def test_every_content_comes_back(objects: ObjectStore, chunks: list[bytes]) -> None:
    content = b"".join(chunks)
    name = f"spool/aa/{hashlib.sha256(content).hexdigest()}.dcm"
    objects.put(name, chunks)
    assert objects.read(name) == content
    with objects.local_paths([name]) as (path,):
        assert path.read_bytes() == content


def test_files_are_at_hand_in_their_order_and_lost_ones_are_not_there(
    objects: ObjectStore, elsewhere: ObjectStore
) -> None:
    for name in NAMES:
        objects.put(name, (name.encode(),))
    asked = (NAMES[2], "spool/ab/lost.dcm", NAMES[0])
    with elsewhere.local_paths(asked) as paths:
        assert [path.is_file() for path in paths] == [True, False, True]
        assert [path.read_bytes() for path in (paths[0], paths[2])] == [NAMES[2].encode(), NAMES[0].encode()]
    with elsewhere.local_paths([]) as none:
        assert list(none) == []
    assert [objects.read(name) for name in NAMES] == [name.encode() for name in NAMES]


def test_many_threads_write_at_once(objects: ObjectStore) -> None:
    """Associations are threads of one process."""
    names = [f"spool/{number % 4:02x}/{number}.dcm" for number in range(24)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: objects.put(name, (name.encode(),) * 1000), names))
        assert list(pool.map(objects.read, names)) == [name.encode() * 1000 for name in names]
    assert set(objects.older_than(-5)) == set(names)


def test_what_is_removed_is_gone_and_may_be_removed_again(objects: ObjectStore) -> None:
    for name in NAMES:
        objects.put(name, (b"x",))
    objects.remove(NAMES[0])
    objects.remove(NAMES[0])
    assert [objects.contains(name) for name in NAMES] == [False, True, True]
    with pytest.raises(PermanentError):
        objects.read(NAMES[0])


def test_only_old_objects_may_be_orphans(objects: ObjectStore, elsewhere: ObjectStore) -> None:
    names = {*NAMES, "outbox/1.2.4-05.hl7"}
    for name in names:
        objects.put(name, (b"x",))
    objects.write_owner(b"no object like the others", replacing=False)
    assert set(elsewhere.older_than(-5)) == names
    assert list(elsewhere.older_than(3600)) == []
    assert list(elsewhere.older_than(-5, not_before=elsewhere.now() + 3600)) == []
    assert set(elsewhere.older_than(-5, not_before=elsewhere.now() - 3600)) == names


def test_an_empty_store_has_no_orphans(objects: ObjectStore) -> None:
    assert objects.is_empty()
    objects.write_owner(b"whose it is", replacing=False)
    assert list(objects.older_than(-5)) == []
    assert objects.is_empty()
    objects.put(NAMES[2], (b"x",))
    assert not objects.is_empty()


def test_of_two_who_write_the_owner_the_first_one_is_read(
    objects: ObjectStore, elsewhere: ObjectStore
) -> None:
    assert objects.read_owner() is None
    objects.write_owner(b"one", replacing=False)
    elsewhere.write_owner(b"other", replacing=False)
    assert (objects.read_owner(), elsewhere.read_owner()) == (b"one", b"one")
    elsewhere.write_owner(b"other", replacing=True)
    assert objects.read_owner() == b"other"


def test_of_many_who_write_the_owner_at_once_all_read_the_same(objects: ObjectStore) -> None:
    def write(number: int) -> bytes | None:
        objects.write_owner(b"%d" % number, replacing=False)
        return objects.read_owner()

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(write, range(16)))) == 1


@pytest.mark.parametrize("name", ["spool/../../etc/passwd", "/etc/passwd", "elsewhere/x.dcm", "spool", ""])
def test_no_name_leads_elsewhere(objects: ObjectStore, name: str) -> None:
    uses = (
        lambda: objects.put(name, (b"x",)),
        lambda: objects.read(name),
        lambda: objects.contains(name),
        lambda: objects.remove(name),
        lambda: objects.local_paths([name]).__enter__(),
    )
    for use in uses:
        with pytest.raises(PermanentError, match="outside spool and outbox"):
            use()


def test_leftovers_of_the_dead_go_and_what_is_being_written_stays(
    objects: ObjectStore, settings_of: SettingsOf, tmp_path: Path
) -> None:
    for name in NAMES:
        objects.put(name, (b"x",))
    made = settings_of(tmp_path / "here")
    folder = (made.storage.folder or made.node.data_dir) / "spool" / "tmp"
    assert list(folder.iterdir()) == []
    (folder / "dead.part").write_bytes(b"half")
    with temporary_file(folder) as (_, alive):
        assert objects.clear_leftovers() == 1
        assert list(folder.iterdir()) == [alive]
    assert [objects.read(name) for name in NAMES] == [b"x"] * 3


class Node:
    """A machine with an SQLite database of its own."""

    def __init__(self, made: Settings) -> None:
        self.clock = SetClock()
        self.storage: Storage = open_storage(made, self.clock)
        self.storage.upgrade()

    @property
    def objects(self) -> ObjectStore:
        return self.storage.objects

    def receive(self, sop: int, study: int) -> SentInstance:
        instance = received(sop, study)
        store(Intake(self.storage.spool, self.storage.studies), instance)
        return instance

    def draft(self, study: int) -> None:
        self.clock.move(3600)
        self.storage.studies.complete_due()
        job = self.storage.jobs.claim("worker")
        assert job is not None
        with self.storage.drafts.open(job) as stored:
            for instance in stored.instances:
                kept = hashlib.sha256(data_set_of(instance.path.read_bytes())).hexdigest()
                assert kept == instance.data_set_sha256
        chosen = selection(received(study, study))
        self.storage.drafts.finish(job, NewDraft([document(study, job.revision)], chosen, MODEL))

    def show(self, study: int) -> dict[str, Any]:
        return self.storage.queries.show(study)

    def paths(self) -> set[str]:
        return {
            row["path"]
            for study in (1, 2)
            for kind in ("instances", "documents")
            for row in self.show(study)[kind]
        }


@pytest.fixture
def node(settings_of: SettingsOf, tmp_path: Path) -> Iterator[Node]:
    made = settings_of(tmp_path / "node")
    peers = {"PACS": {"ae_title": "PACS", "host": "127.0.0.1"}}
    sending = {"delivery": {"destinations": ("PACS",)}, "peers": peers}
    opened = Node(Settings.model_validate(made.model_dump() | sending))
    with opened.storage:
        yield opened


def test_a_study_goes_its_way(node: Node) -> None:
    instance = node.receive(1, 1)
    (row,) = node.show(1)["instances"]
    assert node.objects.read(row["path"]) == instance.part10
    node.draft(1)
    delivery = node.storage.deliveries.claim("sender")
    assert delivery is not None
    assert node.storage.deliveries.document(delivery) == document(1, 1)
    node.storage.deliveries.finish(delivery, DeliveryOutcome.SUCCESS, 0)
    assert node.show(1)["state"] == StudyState.DELIVERED


def test_orphans_go_and_what_rows_name_stays(node: Node) -> None:
    node.receive(1, 1)
    node.draft(1)
    orphans = [
        str(put(node.storage.spool, received(9)).path),
        *(
            str(node.storage.outbox.put(each))
            for each in (document(9, 1), replace(document(9, 2), sop_class_uid=""))
        ),
    ]
    assert node.storage.orphans.sweep() == 0  # too young to be one
    assert all(map(node.objects.contains, orphans))
    assert sorted(node.storage.orphans.find(age_s=-5)) == sorted(orphans)
    assert node.storage.orphans.sweep(age_s=-5) == 3
    assert not any(map(node.objects.contains, orphans))
    for kind in ("instances", "documents"):
        assert node.objects.contains(node.show(1)[kind][0]["path"])


def test_retention_removes_images_and_keeps_drafts(node: Node) -> None:
    node.receive(1, 1)
    node.draft(1)
    delivery = node.storage.deliveries.claim("sender")
    assert delivery is not None
    node.storage.deliveries.finish(delivery, DeliveryOutcome.SUCCESS, 0)
    node.clock.move(2 * 86_400)
    node.storage.retention._settings = RetentionSettings(keep_days=1)
    assert node.storage.retention() == 1
    story = node.show(1)
    assert not node.objects.contains(story["instances"][0]["path"])
    assert node.objects.contains(story["documents"][0]["path"])
    assert node.storage.spool.used_share < 1


def _nothing(_done: int, _of: int) -> None:
    pass


def test_a_backup_holds_all_and_is_restored_anywhere(
    node: Node, settings_of: SettingsOf, tmp_path: Path
) -> None:
    node.receive(1, 1)
    node.draft(1)
    node.receive(2, 2)
    source = tmp_path / "backup"
    made = back_up(node.storage.database, node.objects, tmp_path / "node", source, _nothing)
    assert (made.files, made.missing) == (3, ())
    kept = {path: node.objects.read(path) for path in node.paths()}
    into_a_folder = Node(Settings.model_validate({"node": {"data_dir": tmp_path / "moved"}}))
    with into_a_folder.storage as moved:
        restore(source, moved.database, moved.objects, _nothing)
        assert {path: moved.objects.read(path) for path in into_a_folder.paths()} == kept
    for path in kept:
        node.objects.remove(path)
    again = Node(settings_of(tmp_path / "again"))
    with again.storage:
        restore(source, again.storage.database, again.objects, _nothing)
        assert {path: again.objects.read(path) for path in again.paths()} == kept
