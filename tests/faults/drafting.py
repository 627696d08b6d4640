"""Drafting without torch: the node's own queue, selection, pixels and encoder around fixed words.

`python -m faults.drafting DATA_DIR [URL]` is a worker to be killed.
"""

import random
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import update
from support.studies import SentInstance, store

from echo_node.dicom.documents.sr import StructuredReportEncoder
from echo_node.dicom.image.pixels import DisplayedPixels
from echo_node.dicom.library_settings import configure_libraries
from echo_node.dicom.selection.selector import ChestImageSelector
from echo_node.domain.drafts.report import Generation, ModelIdentity, Report, Sentence
from echo_node.domain.studies.intake import StoreOutcome
from echo_node.domain.studies.study import GreyImage, InstanceIdentity
from echo_node.domain.work.job import DraftJob
from echo_node.domain.work.retry import RetryPolicy
from echo_node.pipeline.draft import DraftStage
from echo_node.pipeline.receive import Intake
from echo_node.pipeline.worker import Worker
from echo_node.storage import Storage
from echo_node.storage.database.tables import Study
from echo_node.wiring.storage import SystemClock
from faults.world import Broken, chest, digest, encoded, storage_of

MODEL = ModelIdentity("fixed words", "1", "f0" * 32, demonstration=True)


class FixedWords:
    """Writes the same report about every image, after a moment."""

    model = MODEL

    def generate(self, image: GreyImage) -> Report:
        """Return the report."""
        time.sleep(0.02)
        words = (Sentence("The lungs are clear."),)
        return Report(words, words, "en", MODEL, Generation("one_step", 8, 1, 0.02))


def worker(storage: Storage, holder: str) -> Worker[DraftJob]:
    """Return a worker that drafts with fixed words."""
    clock = SystemClock()
    encoders = [StructuredReportEncoder()]
    stage = DraftStage(storage.drafts, ChestImageSelector(), DisplayedPixels(), FixedWords(), encoders, clock)
    policy = RetryPolicy(1000, 0.01, 0.05)
    return Worker(
        "draft", storage.jobs, stage, policy, holder=holder, heartbeat_s=1.0, poll_s=0.02, clock=clock,
        randomness=random.Random(),
    )  # fmt: skip


def receive(storage: Storage, studies: Sequence[str]) -> dict[str, str]:
    """Store an image of each study as the receiver does; return the digests by UID."""
    intake, acknowledged = Intake(storage.spool, storage.studies), {}
    for study in studies:
        image = chest(study)
        identity = InstanceIdentity(
            study, str(image.SeriesInstanceUID), str(image.SOPInstanceUID), str(image.SOPClassUID),
            str(image.file_meta.TransferSyntaxUID),
        )  # fmt: skip
        instance = SentInstance(identity, "MODALITY", data_set=encoded(image))
        if store(intake, instance) is not StoreOutcome.STORED:
            raise Broken("a new instance was not stored")
        acknowledged[identity.sop_instance_uid] = digest(image)
    return acknowledged


def draft_everything(storage: Storage, count: int, randomness: random.Random) -> list[str]:
    """Receive, complete and draft so many studies; return their UIDs."""
    configure_libraries()
    studies = [f"1.2.826.{randomness.randrange(10**12)}.{number}" for number in range(count)]
    receive(storage, studies)
    complete_now(storage)
    drafting = worker(storage, "faults/1")
    while drafting.run_once():
        pass
    return studies


def complete_now(storage: Storage) -> None:
    """Let every study be complete at once, by the storage's own clock."""
    with storage.database.write() as session:
        session.execute(update(Study).values(due_at=storage.studies._clock.now()))
    storage.studies.complete_due()


def main() -> None:
    """Draft until killed."""
    configure_libraries()
    url = sys.argv[2] if len(sys.argv) > 2 else ""
    with storage_of(Path(sys.argv[1]), url) as storage:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        worker(storage, f"faults/{time.time_ns()}").run(threading.Event())


if __name__ == "__main__":
    main()
