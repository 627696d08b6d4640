"""Clocks, instances and selections for tests of the durable path."""

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from echo_node.dicom.scp.file_meta import file_meta
from echo_node.domain.drafts.report import EncodedDocument, ModelIdentity
from echo_node.domain.identifiers import derived_uid
from echo_node.domain.studies.intake import InstanceFiles, InstanceSink, StoreOutcome
from echo_node.domain.studies.study import (
    InstanceFile,
    InstanceIdentity,
    ReceivedInstance,
    SelectedImage,
    Selection,
    StoredInstance,
)
from echo_node.domain.work.withdrawal import NoteKind, WithdrawnDrafts

CR = "1.2.840.10008.5.1.4.1.1.1"
EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
JPEG_2000 = "1.2.840.10008.1.2.4.90"
MODEL = ModelIdentity("test-model", "1", "ab" * 32, demonstration=True)


class SetClock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.moment

    def move(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


@dataclass(frozen=True, slots=True)
class SentInstance(ReceivedInstance):
    """An instance as its sender has it: an encoded data set, and what goes before it in a file."""

    data_set: bytes = field(kw_only=True)

    @property
    def file_meta(self) -> bytes:
        uids = self.identity
        return file_meta(
            uids.sop_class_uid, uids.sop_instance_uid, uids.transfer_syntax_uid, self.calling_ae_title
        )

    @property
    def part10(self) -> bytes:
        return self.file_meta + self.data_set


def received(
    sop: int = 1,
    study: int = 1,
    content: bytes = b"pixels",
    syntax: str = EXPLICIT_LITTLE_ENDIAN,
    calling: str = "MODALITY",
    *,
    urgent: bool = False,
) -> SentInstance:
    identity = InstanceIdentity(f"1.2.3.{study}", f"1.2.3.{study}.1", f"1.2.3.99.{sop}", CR, syntax)
    return SentInstance(identity, calling, data_set=b"%d:" % sop + content, urgent=urgent)


def store(intake: InstanceSink, instance: SentInstance) -> StoreOutcome:
    """Offer an instance as the C-STORE provider does."""
    with intake.begin(instance.file_meta) as arrival:
        arrival.write(instance.data_set)
        return arrival.store(instance)


def put(spool: InstanceFiles, instance: SentInstance) -> InstanceFile:
    """Write an instance's file as the intake does."""
    with spool.begin() as file:
        file.write(instance.part10)
        return file.keep(digest(instance))


def digest(instance: SentInstance) -> str:
    return hashlib.sha256(instance.data_set).hexdigest()


def stored_file(instance: SentInstance, call: str = "0") -> InstanceFile:
    name = digest(instance)
    return InstanceFile(Path("spool") / name[:2] / f"{name}-{call}.dcm", name, len(instance.data_set))


def selection(*instances: SentInstance) -> Selection:
    images = [
        SelectedImage(StoredInstance(each.identity, Path("unused"), digest(each)), "PA") for each in instances
    ]
    return Selection(tuple(images), ())


def document(
    study: int, revision: int, content: bytes = b"draft", kind: str = "basic-text-sr"
) -> EncodedDocument:
    return EncodedDocument(
        kind,
        f"1.2.3.{study}",
        f"1.2.3.{study}.77.{revision}" + ("" if kind == "basic-text-sr" else f".{len(kind)}"),
        "1.2.840.10008.5.1.4.1.1.88.11",
        EXPLICIT_LITTLE_ENDIAN,
        content,
    )


class Notes:
    """Makes notes of only the UIDs that they withdraw. Implements NoteEncoder."""

    def encode(self, rejected: WithdrawnDrafts) -> EncodedDocument:
        first = rejected.documents[0]
        uids = [each.sop_instance_uid for each in rejected.documents]
        kind = NoteKind.REJECTION_NOTE if first.is_dicom else NoteKind.ORU_R01_WITHDRAWAL
        content = f"{rejected.reason} {' '.join(uids)}".encode()
        return EncodedDocument(
            kind,
            first.study_instance_uid,
            derived_uid("note", [rejected.reason, *uids]),
            "1.2.840.10008.5.1.4.1.1.88.59" if first.is_dicom else "",
            EXPLICIT_LITTLE_ENDIAN if first.is_dicom else "",
            content,
        )
