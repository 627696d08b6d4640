from collections.abc import Callable
from pathlib import Path

import pytest
from support.studies import digest, received, store

from echo_node.domain.studies.intake import StoreOutcome
from echo_node.domain.studies.study import InstanceFile, ReceivedInstance
from echo_node.errors import InstanceRejected, TransientError
from echo_node.pipeline.receive import PROCESSING_FAILURE, Intake
from echo_node.settings import IntakeSettings, NodeSettings, Settings
from echo_node.storage.objects.spool import SpoolFile
from echo_node.storage.open import Storage
from echo_node.wiring.storage import open_storage


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    opened = open_storage(
        Settings(node=NodeSettings(data_dir=tmp_path), intake=IntakeSettings(minimum_free_bytes=0))
    )
    opened.upgrade()
    return opened


def _files(folder: Path) -> list[Path]:
    return sorted((folder / "spool").rglob("*.*"))


class Ledger:
    """The real ledger, interrupted where a test wants it."""

    def __init__(self, storage: Storage) -> None:
        self._studies = storage.studies
        self.before_record: list[Callable[[], None]] = []
        self.after_record: list[Callable[[], None]] = []
        self.is_reachable = True

    def note_resend(self, received: ReceivedInstance, digest: str) -> bool:
        return self._studies.note_resend(received, digest)

    def record(self, received: ReceivedInstance, file: InstanceFile) -> StoreOutcome:
        if self.before_record:
            self.before_record.pop()()
        outcome = self._studies.record(received, file)
        if self.after_record:
            self.after_record.pop()()
        return outcome

    def refers_to(self, file: InstanceFile) -> bool:
        if not self.is_reachable:
            raise TransientError("the database is away")
        return self._studies.refers_to(file)


def _away() -> None:
    raise TransientError("the database is away")


def test_an_instance_is_stored_once_whatever_is_resent(storage: Storage, tmp_path: Path) -> None:
    intake = Intake(storage.spool, storage.studies)
    outcomes = [store(intake, received()) for _ in range(3)]
    assert outcomes == [StoreOutcome.STORED, StoreOutcome.DUPLICATE, StoreOutcome.DUPLICATE]
    (path,) = _files(tmp_path)
    assert path.read_bytes() == received().part10


def test_a_resend_needs_no_room_of_its_own(
    storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor the object store, which may be away, nor a file that is made durable for nothing."""
    intake = Intake(storage.spool, storage.studies)
    store(intake, received())

    def refused(*_: object) -> None:
        raise InstanceRejected(0xA700, "the store is full")

    monkeypatch.setattr(SpoolFile, "keep", refused)
    assert store(intake, received()) is StoreOutcome.DUPLICATE
    with pytest.raises(InstanceRejected):
        store(intake, received(2))
    assert len(_files(tmp_path)) == 1


def test_conflicting_content_is_kept_aside_and_the_first_stays(storage: Storage, tmp_path: Path) -> None:
    intake = Intake(storage.spool, storage.studies)
    store(intake, received())
    assert store(intake, received(content=b"other")) is StoreOutcome.CONFLICT
    kept = {path.read_bytes() for path in _files(tmp_path)}
    assert kept == {received().part10, received(content=b"other").part10}


def test_the_slower_of_two_senders_leaves_nothing_behind(storage: Storage, tmp_path: Path) -> None:
    ledger = Ledger(storage)
    faster = Intake(storage.spool, storage.studies)
    ledger.before_record.append(lambda: (store(faster, received()), None)[1])
    assert store(Intake(storage.spool, ledger), received()) is StoreOutcome.DUPLICATE
    assert len(_files(tmp_path)) == 1


def test_the_slower_sender_of_other_content_becomes_the_conflict(storage: Storage, tmp_path: Path) -> None:
    ledger = Ledger(storage)
    faster = Intake(storage.spool, storage.studies)
    ledger.before_record.append(lambda: (store(faster, received(content=b"faster")), None)[1])
    assert store(Intake(storage.spool, ledger), received()) is StoreOutcome.CONFLICT
    assert len(_files(tmp_path)) == 2


def test_what_is_not_stored_leaves_nothing(storage: Storage, tmp_path: Path) -> None:
    instance = received()
    with Intake(storage.spool, storage.studies).begin(instance.file_meta) as arrival:
        arrival.write(instance.data_set[:4])
        assert arrival.data_set().read() == instance.data_set[:4]
        assert len(_files(tmp_path)) == 1
    assert _files(tmp_path) == []


def test_pieces_become_one_file_and_one_digest(storage: Storage, tmp_path: Path) -> None:
    instance = received(content=bytes(range(256)) * 4)
    with Intake(storage.spool, storage.studies).begin(instance.file_meta) as arrival:
        for start in range(0, len(instance.data_set), 100):
            arrival.write(memoryview(instance.data_set)[start : start + 100])
        assert arrival.data_set().read() == instance.data_set
        assert arrival.store(instance) is StoreOutcome.STORED
    (path,) = _files(tmp_path)
    assert path.read_bytes() == instance.part10
    assert path.name.startswith(digest(instance))


def test_a_failed_commit_refuses_and_leaves_nothing(storage: Storage, tmp_path: Path) -> None:
    ledger = Ledger(storage)
    ledger.before_record.append(_away)
    with pytest.raises(InstanceRejected) as refusal:
        store(Intake(storage.spool, ledger), received())
    assert refusal.value.status == PROCESSING_FAILURE
    assert _files(tmp_path) == []
    assert storage.queries.overview().instances == 0


def test_a_commit_whose_answer_was_lost_keeps_its_file(storage: Storage, tmp_path: Path) -> None:
    ledger = Ledger(storage)
    ledger.after_record.append(_away)
    with pytest.raises(InstanceRejected):
        store(Intake(storage.spool, ledger), received())
    assert len(_files(tmp_path)) == 1
    assert store(Intake(storage.spool, storage.studies), received()) is StoreOutcome.DUPLICATE


def test_when_nobody_can_say_the_file_is_left_for_the_sweep(storage: Storage, tmp_path: Path) -> None:
    ledger = Ledger(storage)
    ledger.before_record.append(_away)
    ledger.is_reachable = False
    with pytest.raises(InstanceRejected):
        store(Intake(storage.spool, ledger), received())
    assert len(_files(tmp_path)) == 1


def test_a_refusal_of_the_spool_reaches_the_sender(tmp_path: Path) -> None:
    full = Settings(node=NodeSettings(data_dir=tmp_path), intake=IntakeSettings(minimum_free_bytes=2**62))
    with open_storage(full) as storage:
        storage.upgrade()
        with pytest.raises(InstanceRejected) as refusal:
            store(Intake(storage.spool, storage.studies), received())
        assert refusal.value.status == 0xA700
        assert storage.queries.overview().studies == {}
