import os
import time
from pathlib import Path

import pytest
from support.studies import CR, SetClock, put, received, stored_file

from echo_node.domain.work.commitment import (
    COMMITTED,
    CommitmentReport,
    CommitmentRequest,
    ReferencedInstance,
)
from echo_node.domain.work.kinds import COMMITMENT_REQUEST, KINDS, WorkKind
from echo_node.errors import PermanentError, TransientError
from echo_node.settings import DeliverySettings, IntakeSettings, NodeSettings, Peer, Settings
from echo_node.storage.open import Storage
from echo_node.wiring.storage import open_storage


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    settings = Settings(
        node=NodeSettings(data_dir=tmp_path),
        intake=IntakeSettings(minimum_free_bytes=0),
        peers={"ct": Peer(ae_title="HASTY", study_idle_s=3)},
    )
    opened = open_storage(settings, SetClock())
    opened.upgrade()
    return opened


def test_everything_lies_in_the_data_folder(storage: Storage, tmp_path: Path) -> None:
    assert {path.name for path in tmp_path.iterdir()} >= {"echo-node.sqlite3", "spool", "outbox"}


def test_nothing_is_there_before_the_first_upgrade(tmp_path: Path) -> None:
    with open_storage(Settings(node=NodeSettings(data_dir=tmp_path))) as storage:
        assert storage.current() is None
        with pytest.raises(TransientError):
            storage.queries.ping()
        assert storage.upgrade() == storage.current()
        storage.queries.ping()


def test_a_peers_own_debounce_is_used(storage: Storage) -> None:
    instance = received(calling="HASTY")
    storage.studies.record(instance, put(storage.spool, instance))
    assert isinstance(storage.drafting.clock, SetClock)
    storage.drafting.clock.move(3)
    assert len(storage.studies.complete_due()) == 1


def test_whole_files_without_a_row_go_once_they_are_old(storage: Storage, tmp_path: Path) -> None:
    kept, orphan, young = (received(number) for number in (1, 2, 3))
    files = [put(storage.spool, each) for each in (kept, orphan, young)]
    storage.studies.record(kept, files[0])
    long_ago = time.time() - 7200
    for file in files[:2]:
        os.utime(tmp_path / file.path, (long_ago, long_ago))
    assert storage.orphans.sweep() == 1
    assert [(tmp_path / file.path).exists() for file in files] == [True, False, True]


def test_a_report_finds_whichever_question_is_open(tmp_path: Path) -> None:
    settings = Settings(
        node=NodeSettings(data_dir=tmp_path),
        intake=IntakeSettings(minimum_free_bytes=0, commitment_archive="pacs"),
        peers={"pacs": Peer(ae_title="PACS", host="10.0.0.5", storage_commitment=True)},
        delivery=DeliverySettings(destinations=("pacs",)),
    )
    image = ReferencedInstance(CR, received().identity.sop_instance_uid)
    with open_storage(settings, SetClock()) as storage:
        storage.upgrade()
        storage.studies.record(received(), stored_file(received()))
        storage.commitment_requests.accept(
            CommitmentRequest("MODALITY", "ECHO_NODE", "1.7.1", frozenset({image}))
        )
        job = storage.commitment_requests.claim("asker")
        assert job is not None
        report = CommitmentReport(job.transaction_uid, frozenset({image}), {})
        assert not storage.take_report(report, "ANOTHER")
        assert storage.take_report(report, "PACS")
        assert not storage.take_report(report, "PACS")
        answer = storage.answers.claim("answerer")
        assert answer is not None
        assert (answer.archive_ae_title, answer.statuses) == ("PACS", {image: COMMITTED})
        storage.answers.dead_letter(answer, "gone")
        storage.release(COMMITMENT_REQUEST, answer.lease.row_id)
        assert storage.queries.overview().work["commitment_requests"] == {"settled": 1}


@pytest.mark.parametrize("kind", KINDS.values(), ids=str)
def test_a_release_of_what_does_not_exist_is_an_error(storage: Storage, kind: WorkKind) -> None:
    with pytest.raises(PermanentError, match=f"there is no {kind} 1"):
        storage.release(kind, 1)


def test_a_release_of_what_is_not_a_dead_letter_is_an_error(storage: Storage) -> None:
    storage.commitment_requests.accept(
        CommitmentRequest("MODALITY", "ECHO_NODE", "1.7.1", frozenset({ReferencedInstance(CR, "1.9")}))
    )
    with pytest.raises(PermanentError, match="commitment-request 1 is not a dead letter"):
        storage.release(COMMITMENT_REQUEST, 1)
