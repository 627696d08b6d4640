"""Malformed input: data sets and PDUs with bytes changed, removed and inserted at random."""

import io
import random
import socket
from contextlib import nullcontext, suppress
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import encode
from support.sinks import Sink

from echo_node.bench.sending import association_request, store_request
from echo_node.dicom.library_settings import configure_libraries
from echo_node.dicom.scp.c_store import StoreContext, StoreService
from echo_node.dicom.scp.command import Command, read_command
from echo_node.dicom.scp.log_limit import LogLimit
from echo_node.dicom.scp.uid_policy import UidPolicy
from echo_node.dicom.statuses import Status
from faults.receiving import receiver
from faults.world import Modalities, Tally, audit, check, chest, encoded

_ANSWERS = {Status.SUCCESS, Status.CANNOT_UNDERSTAND, Status.DATA_SET_DOES_NOT_MATCH_SOP_CLASS}
_SYNTAXES = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2")


def data_sets(folder: Path, randomness: random.Random, trials: int) -> Tally:
    """Malformed data sets in C-STORE requests: each is accepted, or refused with a status."""
    configure_libraries()
    image = chest("1.2.3")
    implicit = encode(image, is_implicit_vr=True, is_little_endian=True)
    assert implicit is not None
    sources = [(encoded(image), _SYNTAXES[1]), (implicit, str(ImplicitVRLittleEndian))]
    command, taken = _command(image), 0
    service = StoreService(Sink(), nullcontext(), UidPolicy(), LogLimit())
    for _ in range(trials):
        content, syntax = randomness.choice(sources)
        if randomness.random() < 0.1:
            syntax = randomness.choice(_SYNTAXES)
        context = StoreContext(str(image.SOPClassUID), syntax, "FUZZ", "127.0.0.1")
        operation = service.begin(command, context)
        operation.write(spoilt(content, randomness))
        status, reason = operation.finish()
        check(status in _ANSWERS, f"a data set was answered 0x{status:04X} ({reason})")
        taken += status == Status.SUCCESS
    return Tally(trials, notes=[f"{taken} taken, {trials - taken} refused"])


def pdus(folder: Path, randomness: random.Random, trials: int) -> Tally:
    """Connections that send malformed PDUs to a node that still receives from others."""
    conversation = _conversation()
    with receiver(folder) as node:
        node.start("receive")
        for _ in range(trials):
            with suppress(OSError), socket.create_connection(("127.0.0.1", node.port), 5) as connection:
                connection.settimeout(5)
                for pdu in conversation[: randomness.randrange(1, len(conversation) + 1)]:
                    whole = randomness.random() < 0.5
                    connection.sendall(pdu if whole else spoilt(pdu, randomness))
        senders = Modalities(node.port, lambda number, sent: f"1.3.4.{number}")
        senders.wait_for(20)
        acknowledged = senders.stop()
        check(node.stop() == 0, "the receiver did not stop in order")
    audit(node.data_dir, acknowledged)
    return Tally(trials, len(acknowledged))


def spoilt(content: bytes, randomness: random.Random) -> bytes:
    """Return bytes with some of them changed, left out, doubled or cut off."""
    spoiling = bytearray(content)
    for _ in range(randomness.choice((1, 1, 2, 5, 20))):
        at = randomness.randrange(len(spoiling)) if spoiling else 0
        match randomness.randrange(6):
            case 0 | 1:
                if spoiling:
                    spoiling[at] = randomness.randrange(256)
            case 2:
                del spoiling[at : at + randomness.choice((1, 2, 8, 100))]
            case 3:
                spoiling[at:at] = randomness.randbytes(randomness.choice((1, 2, 8, 100)))
            case 4:
                spoiling[at:at] = spoiling[at : at + randomness.choice((4, 16, 200))]
            case 5:
                if randomness.random() < 0.3:
                    del spoiling[at:]
    return bytes(spoiling)


def _command(image: Dataset) -> Command:
    """Return the command that an image is sent with."""
    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
    request.DataSet = io.BytesIO(b"follows")
    message = C_STORE_RQ()
    message.primitive_to_message(request)
    encoded = encode(message.command_set, is_implicit_vr=True, is_little_endian=True)
    assert encoded is not None
    return read_command(encoded)


def _conversation() -> list[bytes]:
    """Return a sender's bytes: the association request, an image, the release request."""
    return [
        association_request("ECHO_NODE"),
        bytes(store_request(16_384, 20_000, 0)),
        bytes([5, 0, 0, 0, 0, 4, 0, 0, 0, 0]),
    ]
