"""A fleet: receive, infer and deliver on separate machines that share only PostgreSQL and S3."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import fsspec
import pytest
from faults.world import ScriptedPacs
from pydicom import dcmread
from sqlalchemy import select
from support import postgresql, s3
from support.parrot import write_parrot
from support.serving import ServedNode, eventually

from echo_node.dicom.scu.c_store import send_files
from echo_node.settings import NodeSettings, Peer, Settings, StorageSettings
from echo_node.storage.database.tables import Document
from echo_node.storage.open import Storage
from echo_node.storage.operations.backup import data_set_of
from echo_node.wiring.storage import open_storage
from training.phantom.dicom_study import write_study

pytestmark = [pytest.mark.external, pytest.mark.slow]

_LEASE = ("--set", "queue.lease_s=3", "--set", "queue.heartbeat_s=0.5")


@pytest.fixture
def between() -> Iterator[tuple[str, s3.Server, str]]:
    """Database, S3 service and bucket that the machines share."""
    with postgresql.server() as url, s3.server() as store:
        yield url, store, store.new_bucket()


def test_a_study_passes_three_machines_and_one_of_them_dies(
    tmp_path: Path, between: tuple[str, s3.Server, str]
) -> None:
    url, store, bucket = between
    model = write_parrot(tmp_path / "model")
    (image,) = write_study(tmp_path, seed=21, views=["PA"], size=512)
    environment = {
        "ECHO_NODE_DATABASE_URL": url,
        "ECHO_NODE_STORAGE__URL": f"s3://{bucket}/echo",
        "ECHO_NODE_STORAGE__ENDPOINT_URL": store.endpoint_url,
    }

    def machine(name: str, role: str, *arguments: str) -> ServedNode:
        flags = ("--role", role, "--model", str(model), "--study-idle", "3", *_LEASE, *arguments)
        return ServedNode(tmp_path / name, *flags, environment=environment, is_warm=True)

    with (
        ScriptedPacs().open() as pacs,
        machine("reception", "receive") as reception,
        machine("first", "infer") as first,
        machine("second", "infer") as second,
        machine("post", "deliver", "--pacs", f"PACS@127.0.0.1:{pacs.port}") as post,
        _storage(tmp_path / "watcher", environment) as watcher,
    ):
        reception.start("receive")
        first.start("infer")
        post.start("deliver")
        peer = Peer(ae_title="ECHO_NODE", host="127.0.0.1", port=reception.port)
        assert [result.stored for result in send_files([image], peer, "XRAY")] == [True]
        store.freeze()  # the worker will wait for its image, and be killed at that
        eventually(lambda: _states(watcher) == {"drafting": 1}, "the first worker has the study")
        first.kill()
        assert _states(watcher) == {"drafting": 1}
        store.thaw()
        second.start("infer")
        eventually(lambda: _states(watcher) == {"delivered": 1}, f"the second one drafts it: {second.log}")

        story = watcher.queries.show(1)
        (job,) = story["jobs"]
        assert (job["state"], job["attempt"]) == ("done", 2)
        _audit(watcher, pacs, image)
        assert _objects(store, bucket) == {row["path"] for row in (*story["instances"], *story["documents"])}

        # What comes again is known, and drafted by nobody.
        assert [result.stored for result in send_files([image], peer, "XRAY")] == [True]
        assert _states(watcher) == {"delivered": 1}
        _audit(watcher, pacs, image)
        assert [reception.stop(), second.stop(), post.stop()] == [0, 0, 0]
        for living in ("reception", "second", "post"):
            left = [path for kind in ("*.dcm", "*.part") for path in (tmp_path / living).rglob(kind)]
            assert left == [], "something of a patient stays on a machine"


def _storage(folder: Path, environment: dict[str, str]) -> Storage:
    return open_storage(
        Settings.model_validate(
            {
                "node": NodeSettings(data_dir=folder),
                "database": {"url": environment["ECHO_NODE_DATABASE_URL"]},
                "storage": StorageSettings(
                    url=environment["ECHO_NODE_STORAGE__URL"],
                    endpoint_url=environment["ECHO_NODE_STORAGE__ENDPOINT_URL"],
                ),
            }
        )
    )


def _states(watcher: Storage) -> dict[str, int]:
    return watcher.queries.overview().studies


def _audit(watcher: Storage, pacs: ScriptedPacs, image: Path) -> None:
    """Compare what the PACS has, the one document of the node, and the image in the store."""
    with watcher.database.read() as session:
        (row,) = session.execute(select(Document.sop_instance_uid, Document.path, Document.sha256))
    kept = watcher.outbox.read(row.path, row.sha256)
    assert pacs.stored == {row.sop_instance_uid: [data_set_of(kept)]}
    report, read = dcmread(BytesIO(kept)), dcmread(image, stop_before_pixels=True)
    assert (report.Modality, report.StudyInstanceUID) == ("SR", read.StudyInstanceUID)
    (instance,) = watcher.queries.show(1)["instances"]
    with watcher.objects.local_paths([instance["path"]]) as (path,):
        assert dcmread(path) == dcmread(image)


def _objects(store: s3.Server, bucket: str) -> set[str]:
    file_system = fsspec.filesystem("s3", endpoint_url=store.endpoint_url, skip_instance_cache=True)
    found = (str(name).removeprefix(f"{bucket}/echo/") for name in file_system.find(bucket))
    return {name for name in found if name.endswith(".dcm")}
