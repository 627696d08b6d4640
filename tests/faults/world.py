"""Surroundings of the faults: senders that remember, a scripted PACS, an audit."""

import hashlib
import io
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filereader import read_dataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, generate_uid
from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import encode
from sqlalchemy import select

from echo_node.domain.work.withdrawal import NoteKind
from echo_node.settings import NodeSettings, Settings
from echo_node.storage.database.tables import Delivery, Document, Instance, Job, SetAsideInstance
from echo_node.storage.open import Storage
from echo_node.storage.operations.backup import data_set_of
from echo_node.wiring.storage import open_storage

BASIC_TEXT_SR = "1.2.840.10008.5.1.4.1.1.88.11"
KEY_OBJECT_SELECTION = "1.2.840.10008.5.1.4.1.1.88.59"


class Broken(AssertionError):
    """A promise of the node was not kept."""


@dataclass
class Tally:
    """Counts of the trials of a scenario.

    Attributes:
        trials: how many.
        acknowledged: instances that senders were told are stored.
        delivered: objects that the PACS has.
        notes: what else a reader wants to know.
    """

    trials: int = 0
    acknowledged: int = 0
    delivered: int = 0
    notes: list[str] = field(default_factory=list)


def check(condition: object, broken: str) -> None:
    """Raise Broken unless the condition holds."""
    if not condition:
        raise Broken(broken)


def chest(study: str, size: int = 32) -> Dataset:
    """Return a small frontal chest image of a study, under a UID of its own."""
    image = Dataset()
    image.SOPClassUID, image.SOPInstanceUID = ComputedRadiographyImageStorage, generate_uid()
    image.StudyInstanceUID, image.SeriesInstanceUID = study, f"{study}.1"
    image.Modality, image.BodyPartExamined, image.ViewPosition = "CR", "CHEST", "PA"
    image.ImageType, image.PatientOrientation = ["ORIGINAL", "PRIMARY"], ["L", "F"]
    image.PatientID, image.PatientName, image.PatientBirthDate, image.PatientSex = "F1", "Fault^F", "", "O"
    image.StudyDate = image.AcquisitionDate = "20260102"
    image.StudyTime = image.AcquisitionTime = "101500"
    image.StudyID = image.AccessionNumber = image.ReferringPhysicianName = ""
    image.Rows = image.Columns = size
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 8, 8, 7, 0
    image.PixelData = np.random.default_rng().integers(0, 256, size * size, dtype=np.uint8).tobytes()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return image


def encoded(image: Dataset) -> bytes:
    """Return the data set as pynetdicom sends it."""
    content = encode(image, is_implicit_vr=False, is_little_endian=True)
    assert content is not None
    return content


def digest(image: Dataset) -> str:
    """Return the SHA-256 of the data set as pynetdicom sends it."""
    return hashlib.sha256(encoded(image)).hexdigest()


def study_uids(root: str, images: int | None = None) -> Callable[[int, int], str]:
    """Return UIDs of a sender's studies, below *root*, of *images* instances, all by default."""
    return lambda number, sent: f"{root}.{number}" + (f".{sent // images}" if images else "")


class Modalities:
    """Senders that go on until they are stopped or their association is lost.

    Attributes:
        acknowledged: the digest of each instance that was answered with success, by its UID.
        refused: how often each other status came.
    """

    def __init__(
        self, port: int, study_of: Callable[[int, int], str], number: int = 3, size: int = 32
    ) -> None:
        self.acknowledged: dict[str, str] = {}
        self.refused: Counter[int] = Counter()
        self._port, self._study_of, self._size = port, study_of, size
        self._stop, self._lock = threading.Event(), threading.Lock()
        self._threads = [threading.Thread(target=self._send, args=(n,), daemon=True) for n in range(number)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> dict[str, str]:
        """Let them end; return the acknowledged instances."""
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
        return self.acknowledged

    def wait_for(self, count: int, timeout_s: float = 60) -> None:
        """Wait until so many instances were acknowledged."""
        deadline = time.monotonic() + timeout_s
        while len(self.acknowledged) < count:
            check(
                time.monotonic() < deadline, f"only {len(self.acknowledged)} of {count} were stored in time"
            )
            time.sleep(0.005)

    def _send(self, number: int) -> None:
        sent = 0
        while not self._stop.is_set():
            entity = ApplicationEntity(f"MODALITY{number}")
            entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 10
            entity.add_requested_context(ComputedRadiographyImageStorage, ExplicitVRLittleEndian)
            association = entity.associate("127.0.0.1", self._port, ae_title="ECHO_NODE")
            if not association.is_established:  # who listens is being killed, or its limit is reached
                time.sleep(0.05)
                continue
            while association.is_established and not self._stop.is_set():
                image = chest(self._study_of(number, sent), self._size)
                sent += 1
                expected = digest(image)
                try:
                    answer = association.send_c_store(image)
                except RuntimeError:  # the association was aborted between the two lines
                    break
                with self._lock:
                    if answer.get("Status") == 0x0000:
                        self.acknowledged[str(image.SOPInstanceUID)] = expected
                    elif "Status" in answer:
                        self.refused[int(answer.Status)] += 1
            association.abort()


class ScriptedPacs:
    """A PACS that answers C-STORE by a script, and remembers what it stored.

    Attributes:
        stored: bytes of each accepted object, by UID; one entry for each time.
        script: returns the status for the number of a request, or None to abort the association.
    """

    def __init__(self, script: Callable[[int], int | None] = lambda number: 0x0000, port: int = 0) -> None:
        self.stored: dict[str, list[bytes]] = {}
        self.script = script
        self.requests = 0
        self._lock = threading.Lock()
        entity = ApplicationEntity("PACS")
        for sop_class in (BASIC_TEXT_SR, KEY_OBJECT_SELECTION):
            entity.add_supported_context(sop_class, ExplicitVRLittleEndian)
        server = entity.start_server(
            ("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_STORE, self._on_store)]
        )
        assert server is not None
        self._server = server
        self.port = int(server.server_address[1])

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()

    def _on_store(self, event: evt.Event) -> int:
        with self._lock:
            self.requests += 1
            status = self.script(self.requests)
        if status is None:
            event.assoc.abort()
            return 0x0110
        if status == 0 or 0xB000 <= status <= 0xBFFF:
            with self._lock:
                request = event.request
                assert isinstance(request, C_STORE)
                assert request.DataSet is not None
                uid = str(request.AffectedSOPInstanceUID)
                self.stored.setdefault(uid, []).append(request.DataSet.getvalue())
        return status

    @contextmanager
    def open(self) -> Iterator["ScriptedPacs"]:
        """Close at the end."""
        try:
            yield self
        finally:
            self.close()


def storage_of(data_dir: Path, url: str = "") -> Storage:
    """Open a node's storage."""
    settings = Settings.model_validate(
        {
            "node": NodeSettings(data_dir=data_dir),
            "database": {"url": url},
            "intake": {"minimum_free_bytes": 0},
        }
    )
    return open_storage(settings)


def audit(data_dir: Path, acknowledged: dict[str, str], url: str = "") -> None:
    """Compare what was acknowledged with rows and files, and rows with files.

    Raises:
        Broken: something is missing, damaged, doubled or left over.
    """
    with storage_of(data_dir, url) as storage:
        storage.orphans.sweep(age_s=0.0)
        with storage.database.read() as session:
            instances = session.execute(
                select(Instance.sop_instance_uid, Instance.data_set_sha256, Instance.path)
            ).all()
            paths = {row.path for row in instances} | set(session.scalars(select(SetAsideInstance.path)))
            documents = session.scalars(select(Document.path)).all()
            jobs = session.execute(select(Job.study_id, Job.revision)).all()
            deliveries = session.execute(select(Delivery.document_id, Delivery.destination)).all()
    known = {row.sop_instance_uid: row for row in instances}
    for uid, expected in acknowledged.items():
        check(uid in known, f"an acknowledged instance is not in the database ({len(known)} are)")
        check(known[uid].data_set_sha256 == expected, "an instance is not what was sent")
    for row in instances:
        file = data_dir / row.path
        check(file.is_file(), "a row has no file")
        check(
            hashlib.sha256(data_set_of(file.read_bytes())).hexdigest() == row.data_set_sha256,
            "a file is damaged",
        )
    for path in documents:
        check((data_dir / path).is_file(), "a document has no file")
    here = {str(path.relative_to(data_dir)) for path in (data_dir / "spool").glob("*/*.dcm")}
    check(here == paths, f"{len(here - paths)} files have no row")
    drafts = {str(path.relative_to(data_dir)) for path in (data_dir / "outbox").glob("*.*")}
    check(drafts == set(documents), f"{len(drafts - set(documents))} drafts have no row")
    check(list((data_dir / "spool" / "tmp").iterdir()) == [], "half-written files are left")
    check(len(set(jobs)) == len(jobs), "two jobs for one revision")
    check(len(set(deliveries)) == len(deliveries), "two deliveries of one document")


def audit_pacs(pacs: ScriptedPacs, data_dir: Path, url: str = "") -> int:
    """Compare what the PACS has with the node's documents; return how many objects it has.

    Raises:
        Broken: a document is missing there, is another one, or was changed between two sends.
    """
    with storage_of(data_dir, url) as storage, storage.database.read() as session:
        documents = session.execute(select(Document.sop_instance_uid, Document.path)).all()
    check(
        set(pacs.stored) == {row.sop_instance_uid for row in documents}, "the PACS has other objects than we"
    )
    for row in documents:
        sent = data_set_of((data_dir / row.path).read_bytes())
        check(set(pacs.stored[row.sop_instance_uid]) == {sent}, "an object was not sent as it was stored")
    return len(documents)


def audit_notes(pacs: ScriptedPacs, data_dir: Path) -> int:
    """Compare the drafts that the PACS has with its notes about them; return the number of notes.

    Raises:
        Broken: a draft is there without a note, or with two, or came again after its note.
    """
    with storage_of(data_dir) as storage, storage.database.read() as session:
        kinds = {
            row.sop_instance_uid: row.kind
            for row in session.execute(select(Document.sop_instance_uid, Document.kind))
        }
    there = list(pacs.stored)  # in the order in which they came first
    check(set(there) <= set(kinds), "the PACS has objects that we do not know")
    noted: dict[str, str] = {}
    for note in (uid for uid in there if kinds[uid] == NoteKind.REJECTION_NOTE):
        for draft in _rejected_by(pacs.stored[note][0]):
            check(draft not in noted, "two notes reject one draft")
            noted[draft] = note
    drafts = [uid for uid in there if kinds[uid] != NoteKind.REJECTION_NOTE]
    for draft in drafts:
        check(draft in noted, "a withdrawn draft is at the PACS without a note")
        check(there.index(draft) < there.index(noted[draft]), "a draft came after the note that rejects it")
    for uid in there:
        check(len(set(pacs.stored[uid])) == 1, "an object was changed between two sends")
    return len(noted)


def _rejected_by(note: bytes) -> list[str]:
    """Return the SOP Instance UIDs of the documents that a Key Object Selection names."""
    selection = read_dataset(io.BytesIO(note), is_implicit_VR=False, is_little_endian=True)
    return [
        str(item.ReferencedSOPInstanceUID)
        for study in selection.CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    ]
