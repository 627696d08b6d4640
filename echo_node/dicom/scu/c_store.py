"""Sending: C-STORE of drafts and of files, and C-ECHO (PS3.4 Annexes A and B, as user).

Objects are sent as the bytes that are stored. If a peer accepts only the default transfer syntax,
an uncompressed object is encoded again in it. Compressed pixel data is never converted. The status
of the peer decides the outcome of a delivery.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext, build_context

from echo_node.dicom.contexts import contexts
from echo_node.dicom.header_values import PARSE_ERRORS
from echo_node.dicom.instance_file import instance_from_file
from echo_node.dicom.scu.associate import associated, name_of
from echo_node.dicom.statuses import Verdict, classify, describe, outcome_of
from echo_node.domain.drafts.report import EncodedDocument
from echo_node.domain.ports import DeliveryOutcome
from echo_node.domain.studies.study import StoredInstance
from echo_node.errors import EchoNodeError, PermanentError, TransientError
from echo_node.settings import Peer

_MOST_CONTEXTS = 128  # PS3.8 9.3.2.2: odd identifiers from 1 to 255


class Sender:
    """Implements the DocumentSender port.

    Args:
        calling_ae_title: our AE title.
        peers: peers by configured name.
        timeout_s: time limit for a connection, an association and a message, in seconds.
    """

    def __init__(self, calling_ae_title: str, peers: Mapping[str, Peer], timeout_s: float) -> None:
        self._calling_ae_title = calling_ae_title
        self._peers = peers
        self._timeout_s = timeout_s

    def send(self, document: EncodedDocument, destination: str) -> tuple[DeliveryOutcome, int]:
        """Send the stored bytes; return the outcome and the DIMSE status.

        Raises:
            TransientError: no association, abort, time-out, or a temporary status.
            PermanentError: a permanent status, or the SOP class was not accepted.
        """
        peer = self._peer(destination)
        proposed = _proposal({(document.sop_class_uid, document.transfer_syntax_uid)})
        with (
            tempfile.NamedTemporaryFile(suffix=".dcm") as file,
            associated(peer, self._calling_ae_title, proposed, self._timeout_s) as association,
        ):
            file.write(document.content)
            file.flush()
            status = _store(
                association, peer, Path(file.name), document.sop_class_uid, document.transfer_syntax_uid
            )
        return outcome_of(status, name_of(peer)), status

    def echo(self, destination: str) -> None:
        """Verify the connection to the peer (C-ECHO).

        Raises:
            TransientError: no answer; the message states the failed step.
            PermanentError: the peer does not offer verification, or refused it.
        """
        peer = self._peer(destination)
        verification = contexts().verification.uid
        proposed = [build_context(verification, [ImplicitVRLittleEndian, ExplicitVRLittleEndian])]
        with associated(peer, self._calling_ae_title, proposed, self._timeout_s) as association:
            answer = association.send_c_echo()
        if "Status" not in answer:
            raise TransientError(f"{name_of(peer)} accepted the association but did not answer C-ECHO")
        if answer.Status != 0:
            raise PermanentError(f"{name_of(peer)} answered C-ECHO with {describe(answer.Status)}")

    def _peer(self, destination: str) -> Peer:
        try:
            return self._peers[destination]
        except KeyError:
            raise PermanentError(
                f"no peer is named '{destination}'; add it to peers.toml, then retry"
            ) from None


@dataclass(frozen=True, slots=True)
class FileResult:
    """Result of one file.

    Attributes:
        path: the file.
        stored: whether the peer has it.
        status: DIMSE status of the peer; None without one.
        message: message for a person.
    """

    path: Path
    stored: bool
    status: int | None
    message: str


def send_files(
    paths: Sequence[Path],
    peer: Peer,
    calling_ae_title: str,
    progress: Callable[[FileResult], None] | None = None,
    *,
    timeout_s: float = 30.0,
) -> list[FileResult]:
    """Send DICOM files, each in its own transfer syntax, over as few associations as possible.

    No file prevents the others from being sent. A lost association is opened again for each file.

    Args:
        paths: the files, in the order in which to send them.
        peer: the destination.
        calling_ae_title: our AE title.
        progress: called with each result.
        timeout_s: time limit for an answer, in seconds.
    """
    results: list[FileResult] = []

    def note(result: FileResult) -> None:
        results.append(result)
        if progress is not None:
            progress(result)

    whole: list[StoredInstance] = []
    for path in paths:
        try:
            whole.append(instance_from_file(path))
        except PermanentError as error:
            note(FileResult(path, stored=False, status=None, message=str(error)))
    for batch in _batches(whole):
        remaining = batch
        while remaining:
            sent = _send_batch(remaining, peer, calling_ae_title, timeout_s, note)
            remaining = remaining[sent:]
    return results


def _batches(instances: Sequence[StoredInstance]) -> Iterator[list[StoredInstance]]:
    """Group files so that the presentation contexts of a group fit into one association."""
    batch: list[StoredInstance] = []
    for instance in instances:
        if batch and len(_proposal(_kinds([*batch, instance]))) > _MOST_CONTEXTS:
            yield batch
            batch = []
        batch.append(instance)
    if batch:
        yield batch


def _kinds(instances: Sequence[StoredInstance]) -> set[tuple[str, str]]:
    return {(each.identity.sop_class_uid, each.identity.transfer_syntax_uid) for each in instances}


def _send_batch(
    instances: Sequence[StoredInstance],
    peer: Peer,
    calling_ae_title: str,
    timeout_s: float,
    note: Callable[[FileResult], None],
) -> int:
    """Send over one association while it is open; return the number of files with a result."""
    begun = 0
    try:
        with associated(peer, calling_ae_title, _proposal(_kinds(instances)), timeout_s) as association:
            for instance in instances:
                begun += 1
                note(_send_file(instance, association, peer))
    except EchoNodeError as error:
        # If the association was lost, the current file failed. If it was never open, all failed.
        failed = instances[begun - 1 : begun] if begun else instances
        for instance in failed:
            note(FileResult(instance.path, stored=False, status=None, message=str(error)))
        return begun or len(instances)
    return len(instances)


def _send_file(instance: StoredInstance, association: Association, peer: Peer) -> FileResult:
    """Send one file.

    Raises:
        TransientError: the association was lost.
    """
    identity = instance.identity
    try:
        status = _store(
            association, peer, instance.path, identity.sop_class_uid, identity.transfer_syntax_uid
        )
    except PermanentError as error:
        return FileResult(instance.path, stored=False, status=None, message=str(error))
    stored = classify(status) in {Verdict.STORED, Verdict.STORED_WITH_WARNING}
    return FileResult(instance.path, stored, status, describe(status))


def _proposal(kinds: set[tuple[str, str]]) -> list[PresentationContext]:
    """Return one context for each SOP class and transfer syntax, so that the peer cannot choose.

    With an uncompressed syntax the default one is proposed too, as PS3.5 section 10.1 requires.
    """
    pairs = set(kinds)
    pairs |= {
        (sop_class, ImplicitVRLittleEndian) for sop_class, syntax in kinds if not _is_compressed(syntax)
    }
    return [build_context(sop_class, syntax) for sop_class, syntax in sorted(pairs)]


def _is_compressed(transfer_syntax_uid: str) -> bool:
    syntax = UID(transfer_syntax_uid)
    return not syntax.is_transfer_syntax or syntax.is_compressed


def _store(
    association: Association, peer: Peer, path: Path, sop_class_uid: str, transfer_syntax_uid: str
) -> int:
    """Send one file and return the peer's status.

    Raises:
        PermanentError: the peer does not accept this SOP class in this transfer syntax.
        TransientError: the association was lost, or the peer did not answer.
    """
    accepted = {
        str(context.transfer_syntax[0])
        for context in association.accepted_contexts
        if context.abstract_syntax == sop_class_uid
    }
    if transfer_syntax_uid not in accepted and (not accepted or _is_compressed(transfer_syntax_uid)):
        raise PermanentError(
            f"{name_of(peer)} does not take {UID(sop_class_uid).name} in {UID(transfer_syntax_uid).name}"
        )
    try:
        # A path is sent as it is on disk (STORE_SEND_CHUNKED_DATASET); a data set is encoded again.
        answer = association.send_c_store(path if transfer_syntax_uid in accepted else dcmread(path))
    except (*PARSE_ERRORS, RuntimeError, OSError) as error:
        if not association.is_established:
            raise TransientError(f"{name_of(peer)} ended the association") from error
        raise PermanentError("the object cannot be encoded for this peer") from error
    if "Status" not in answer:
        raise TransientError(f"{name_of(peer)} did not answer C-STORE, or ended the association")
    return int(answer.Status)
