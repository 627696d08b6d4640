"""An S3 service that dies: senders are asked to send again, work is retried, nothing is dropped."""

from collections.abc import Callable
from pathlib import Path

import pytest
from support import s3
from support.studies import put, received, store

from echo_node.actions.doctor.check import Grade
from echo_node.actions.doctor.storage import check_store
from echo_node.errors import InstanceRejected, TransientError
from echo_node.pipeline.receive import PROCESSING_FAILURE, Intake
from echo_node.settings import IntakeSettings, NodeSettings, Settings, StorageSettings
from echo_node.storage.open import Storage
from echo_node.wiring.storage import open_storage


def _settings(folder: Path, server: s3.Server, bucket: str) -> Settings:
    return Settings(
        node=NodeSettings(data_dir=folder),
        intake=IntakeSettings(minimum_free_bytes=0),
        storage=StorageSettings(url=f"s3://{bucket}/echo", endpoint_url=server.endpoint_url, timeout_s=5),
    )


def _open(folder: Path, server: s3.Server, bucket: str) -> Storage:
    storage = open_storage(_settings(folder, server, bucket))
    storage.upgrade()
    return storage


def test_the_doctor_looks_for_the_store_and_changes_nothing(tmp_path: Path) -> None:
    def grade(bucket: str) -> tuple[Grade, bool]:
        (check,) = check_store(_settings(tmp_path / "data", server, bucket))
        return check.grade, bool(check.remedy)

    with s3.server() as server:
        bucket = server.new_bucket()
        assert grade(bucket) == (Grade.OK, False)
        assert grade("no-such-bucket") == (Grade.FAILED, True)
        server.kill()
        assert grade(bucket) == (Grade.FAILED, True)
    assert not (tmp_path / "data").exists()


def test_a_bucket_that_is_not_there_or_a_service_that_died_is_transient(tmp_path: Path) -> None:
    with s3.server() as server:
        bucket = server.new_bucket()
        instance = received()
        with _open(tmp_path / "wrong", server, "no-such-bucket") as wrong:
            with pytest.raises(InstanceRejected) as refusal:
                store(Intake(wrong.spool, wrong.studies), instance)
            assert refusal.value.status == PROCESSING_FAILURE == 0x0110
            with pytest.raises(TransientError):
                wrong.objects.ping()
            with pytest.raises(TransientError):
                wrong.outbox.read("outbox/1.2-3.dcm", "")
        with _open(tmp_path / "right", server, bucket) as right:
            kept = put(right.spool, instance)
            right.objects.ping()
            server.kill()
            with pytest.raises(InstanceRejected) as refusal:
                store(Intake(right.spool, right.studies), instance)
            assert refusal.value.status == PROCESSING_FAILURE
            assert right.queries.overview().instances == 0
            uses: tuple[Callable[[], object], ...] = (
                lambda: right.objects.read(str(kept.path)),
                lambda: right.objects.local_paths([str(kept.path)]).__enter__(),
                right.orphans.sweep,
                right.objects.ping,
            )
            for use in uses:
                with pytest.raises(TransientError, match="does not answer"):
                    use()
            right.objects.remove(str(kept.path))
    assert [path for path in (tmp_path / "right" / "spool").rglob("*") if path.is_file()] == []
