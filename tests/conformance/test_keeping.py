"""Retention, backup and restore, on every database."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select, text
from support.house import House
from support.studies import put, received

from echo_node.domain.ports import DeliveryOutcome
from echo_node.domain.studies.intake import StoreOutcome
from echo_node.domain.work.lifecycle import StudyState
from echo_node.errors import PermanentError, TransientError
from echo_node.settings import RetentionSettings
from echo_node.storage.database import migrate
from echo_node.storage.database.engine import Database
from echo_node.storage.database.tables import Base, NodeIdentity
from echo_node.storage.objects.local import LocalObjects
from echo_node.storage.objects.spool import Spool
from echo_node.storage.operations.backup import MANIFEST, ROWS, back_up, read_manifest, restore
from echo_node.storage.operations.export import Archive, StudyChoice
from echo_node.storage.operations.retention import Retention, keeping_files

DAY_S = 86_400.0
_NOON = {"noon": "2026-01-01 12:00:00.000000"}
_OLD_STUDY = text("""
    INSERT INTO studies (id, study_instance_uid, state, revision, calling_ae_title,
                         due_at, force_at, received_at, changed_at)
    VALUES (1, '1.2.3.1', 'receiving', 1, 'MODALITY', :noon, :noon, :noon, :noon)""")
_OLD_INSTANCE = text("""
    INSERT INTO instances (id, study_id, revision, series_instance_uid, sop_instance_uid, sop_class_uid,
                           transfer_syntax_uid, data_set_sha256, size_bytes, path, calling_ae_title,
                           received_at)
    VALUES (1, 1, 1, '1.2', '1.3', '1.4', '1.5', 'ab', 3, 'spool/x.dcm', 'MODALITY', :noon)""")


class Kept(House):
    """A house whose instances have files."""

    def __init__(self, database: Database, folder: Path) -> None:
        super().__init__(database, folder)
        self.folder = folder
        self.spool = Spool(self.objects, 0)

    def store(self, sop: int, study: int) -> Path:
        """Receive an instance; return its file."""
        instance = received(sop, study)
        file = put(self.spool, instance)
        assert self.studies.record(instance, file) is StoreOutcome.STORED
        return self.folder / file.path

    def deliver(self, study: int) -> None:
        """Bring a study that is received to the destination."""
        self.complete()
        self.draft(self.claim(), received(study, study))
        self.deliveries.finish(self.claim_delivery(), DeliveryOutcome.SUCCESS, 0)
        assert self.state(study) is StudyState.DELIVERED

    def retention(self, **settings: float) -> Retention:
        return Retention(
            self.database, self.spool, self.clock, RetentionSettings(**settings), self.folder, self.ownership
        )


@pytest.fixture
def house(database: Database, tmp_path: Path) -> Kept:
    return Kept(database, tmp_path / "node")


def test_images_of_finished_studies_go_when_they_are_old(house: Kept) -> None:
    old = house.store(1, 1)
    house.deliver(1)
    skipped = house.store(2, 2)
    house.complete()
    house.jobs.skip(house.claim(), "no chest")
    house.clock.move(2 * DAY_S)
    young = house.store(3, 3)
    house.deliver(3)
    sweep = house.retention(keep_days=1)
    assert sweep() == 2
    assert [file.exists() for file in (old, skipped, young)] == [False, False, True]
    assert sweep() == 0
    assert house.queries.show(1)["instances"][0]["removed_at"] is not None


def test_what_is_not_finished_stays_for_ever(house: Kept) -> None:
    waiting = [house.store(1, 1)]
    house.complete()
    house.jobs.dead_letter(house.claim(), "broken")
    waiting.append(house.store(2, 2))
    house.complete()
    house.draft(house.claim(), received(2, 2))
    waiting.append(house.store(3, 3))
    house.clock.move(1000 * DAY_S)
    assert house.retention(keep_days=1)() == 0
    assert house.retention(maximum_disk_share=1e-9)() == 0
    assert all(file.exists() for file in waiting)


def test_a_full_disk_costs_the_studies_that_were_finished_first(
    house: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = []
    for number in (1, 2, 3):
        files.append(house.store(number, number))
        house.deliver(number)
        house.clock.move(10)
    share = property(lambda _: 0.85 + 0.05 * sum(file.exists() for file in files))  # 1.00, 0.95, 0.90
    monkeypatch.setattr(Spool, "used_share", share)
    assert house.retention(maximum_disk_share=0.91)() == 2
    assert [file.exists() for file in files] == [False, False, True]


def test_nothing_goes_by_default_or_while_a_backup_runs(house: Kept) -> None:
    file = house.store(1, 1)
    house.deliver(1)
    house.clock.move(1000 * DAY_S)
    assert house.retention()() == 0
    with keeping_files(house.database, house.folder, shared=True):
        assert house.retention(keep_days=1)() == 0
    assert file.exists()


def test_an_image_after_removal_begins_a_revision_without_the_removed_ones(house: Kept) -> None:
    house.store(1, 1)
    house.deliver(1)
    house.clock.move(2 * DAY_S)
    house.retention(keep_days=1)()
    assert house.arrive(received(1, 1)) is StoreOutcome.DUPLICATE  # acknowledged, delivered, and gone
    assert house.state() is StudyState.DELIVERED
    house.store(2, 1)
    house.complete()
    job = house.claim()
    assert job.revision == 2
    with house.drafts.open(job) as study:
        names = [each.identity.sop_instance_uid for each in study.instances]
    assert names == [received(2, 1).identity.sop_instance_uid]


def test_removed_studies_are_not_exported(house: Kept) -> None:
    house.store(1, 1)
    house.deliver(1)
    archive = Archive(house.database, house.objects)
    assert archive.count(StudyChoice()) == 1
    house.clock.move(2 * DAY_S)
    house.retention(keep_days=1)()
    assert archive.count(StudyChoice()) == 0
    assert list(archive.studies(StudyChoice())) == []


def _nothing(_done: int, _of: int) -> None:
    pass


def _rows(database: Database) -> dict[str, list[dict[str, object]]]:
    with database.read() as session:
        return {
            table.name: [
                dict(row) for row in session.execute(select(table).order_by(*table.primary_key)).mappings()
            ]
            for table in Base.metadata.sorted_tables
            if table is not NodeIdentity.__table__  # a restored node is one of its own
        }


def test_a_restored_node_is_the_node(new_database: Callable[[], Database], tmp_path: Path) -> None:
    house = Kept(new_database(), tmp_path / "node")
    house.store(1, 1)
    house.deliver(1)
    house.store(2, 2)
    house.complete()
    made = back_up(house.database, house.objects, house.folder, tmp_path / "backup", _nothing)
    assert (made.files, made.missing) == (3, ())
    again = Kept(new_database(), tmp_path / "again")
    restore(tmp_path / "backup", again.database, again.objects, _nothing)
    assert _rows(again.database) == _rows(house.database)
    for path in ("spool", "outbox"):
        files = {file.relative_to(house.folder): file for file in (house.folder / path).rglob("*.dcm")}
        assert files
        for name, file in files.items():
            assert (again.folder / name).read_bytes() == file.read_bytes()
    again.clock.moment = house.clock.now()
    again.draft(again.claim(), received(2, 2))  # it goes on: the next row has a number of its own
    again.store(3, 3)


def test_a_backup_moves_from_one_database_to_the_other(
    new_database: Callable[[], Database], tmp_path: Path
) -> None:
    house = Kept(new_database(), tmp_path / "node")
    house.store(1, 1)
    house.deliver(1)
    back_up(house.database, house.objects, house.folder, tmp_path / "backup", _nothing)
    small = Database(f"sqlite:///{tmp_path / 'other.sqlite3'}")
    restore(tmp_path / "backup", small, LocalObjects(tmp_path / "small"), _nothing)
    assert _rows(small) == _rows(house.database)
    back_up(small, LocalObjects(tmp_path / "small"), tmp_path / "small", tmp_path / "back", _nothing)
    returned = new_database()
    restore(tmp_path / "back", returned, LocalObjects(tmp_path / "returned"), _nothing)
    assert _rows(returned) == _rows(house.database)


def test_a_second_backup_copies_what_is_new_and_forgets_what_went(house: Kept, tmp_path: Path) -> None:
    target = tmp_path / "backup"
    first = house.store(1, 1)
    house.deliver(1)
    back_up(house.database, house.objects, house.folder, target, _nothing)
    copy = target / "files" / first.relative_to(house.folder)
    made = copy.stat().st_mtime_ns
    second = house.store(2, 2)
    back_up(house.database, house.objects, house.folder, target, _nothing)
    assert copy.stat().st_mtime_ns == made
    assert (target / "files" / second.relative_to(house.folder)).is_file()
    house.clock.move(2 * DAY_S)
    house.retention(keep_days=1)()
    assert back_up(house.database, house.objects, house.folder, target, _nothing).files == 2
    assert not copy.exists()


def test_what_the_node_itself_lost_is_named(house: Kept, tmp_path: Path) -> None:
    gone, damaged, whole = (house.store(number, number) for number in (1, 2, 3))
    gone.unlink()
    damaged.write_bytes(damaged.read_bytes()[:-1])
    made = back_up(house.database, house.objects, house.folder, tmp_path / "backup", _nothing)
    assert set(made.missing) == {str(path.relative_to(house.folder)) for path in (gone, damaged)}
    fresh = Database(f"sqlite:///{tmp_path / 'fresh.sqlite3'}")
    restore(tmp_path / "backup", fresh, LocalObjects(tmp_path / "fresh"), _nothing)
    assert (tmp_path / "fresh" / whole.relative_to(house.folder)).is_file()


def test_a_backup_that_is_not_whole_is_refused(house: Kept, tmp_path: Path) -> None:
    file = house.store(1, 1)
    target = tmp_path / "backup"
    back_up(house.database, house.objects, house.folder, target, _nothing)

    def refused(say: str, harm: Callable[[Path], object]) -> None:
        copy = tmp_path / "harmed"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(target, copy)
        harm(copy)
        fresh = Database(f"sqlite:///{tmp_path / 'fresh.sqlite3'}")
        with pytest.raises(PermanentError, match=say):
            restore(copy, fresh, LocalObjects(tmp_path / "fresh"), _nothing)
        assert migrate.current(fresh) is None

    kept = file.relative_to(house.folder)
    refused("no manifest.json", lambda copy: (copy / MANIFEST).unlink())
    refused("rows.jsonl.gz is damaged", lambda copy: (copy / ROWS).write_bytes(b"no"))
    refused("the backup lacks", lambda copy: (copy / "files" / kept).unlink())
    refused("its digest is another", lambda copy: _flip(copy / "files" / kept))
    refused("format 9", lambda copy: _as_format(copy / MANIFEST, 9))


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def _as_format(path: Path, number: int) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": number}))


def test_only_an_empty_node_is_restored_into(house: Kept, tmp_path: Path) -> None:
    house.store(1, 1)
    back_up(house.database, house.objects, house.folder, tmp_path / "backup", _nothing)
    with pytest.raises(PermanentError, match="has studies already"):
        restore(tmp_path / "backup", house.database, house.objects, _nothing)


def test_a_folder_of_something_else_is_not_written_to(house: Kept, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"cat")
    with pytest.raises(PermanentError, match="neither empty nor a backup"):
        back_up(house.database, house.objects, house.folder, tmp_path / "photos", _nothing)


def test_no_backup_while_images_are_removed(house: Kept, tmp_path: Path) -> None:
    with (
        keeping_files(house.database, house.folder, shared=False),
        pytest.raises(TransientError, match="being removed"),
    ):
        back_up(house.database, house.objects, house.folder, tmp_path / "backup", _nothing)


def test_a_backup_on_one_machine_holds_retention_on_another(house: Kept, tmp_path: Path) -> None:
    if house.database.dialect == "sqlite":
        pytest.skip("SQLite is for one machine")
    here, there = tmp_path / "here", tmp_path / "there"
    with keeping_files(house.database, here, shared=True) as first:
        with keeping_files(house.database, there, shared=True) as second:
            assert (first, second) == (True, True)
        with keeping_files(house.database, there, shared=False) as is_ours:
            assert not is_ours
    with keeping_files(house.database, there, shared=False) as is_ours:
        assert is_ours
        with keeping_files(house.database, here, shared=True) as first:
            assert not first


def test_a_backup_of_the_version_before_is_upgraded(tmp_path: Path) -> None:
    before = Database(f"sqlite:///{tmp_path / 'before.sqlite3'}")
    migrate.upgrade(before, "0001")
    with before.write() as session:
        session.execute(_OLD_STUDY, _NOON)
        session.execute(_OLD_INSTANCE, _NOON)
    made = back_up(before, LocalObjects(tmp_path / "node"), tmp_path, tmp_path / "backup", _nothing)
    assert (made.schema, made.rows, made.missing) == ("0001", 2, ("spool/x.dcm",))
    after = Database(f"sqlite:///{tmp_path / 'after.sqlite3'}")
    restore(tmp_path / "backup", after, LocalObjects(tmp_path / "after"), _nothing)
    assert migrate.current(after) == migrate.latest()
    assert _rows(after)["instances"][0]["removed_at"] is None
    assert read_manifest(tmp_path / "backup").schema == "0001"
