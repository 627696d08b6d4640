"""Input that no standard knows: data sets and PDUs with bytes changed, left out and put in at random."""

import random
import socket
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

from pydicom.uid import ImplicitVRLittleEndian
from pynetdicom.dsutils import encode

from echo_node.bench.sending import association_request, store_request
from echo_node.dicom.libraries import configure_libraries
from echo_node.dicom.scp import received_instance
from echo_node.errors import InstanceRejected
from faults.receiving import receiver
from faults.world import Modalities, Tally, audit, check, chest, encoded

_SYNTAXES = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2")


def data_sets(folder: Path, randomness: random.Random, trials: int) -> Tally:
    """Data sets as they come in a C-STORE: each is taken or refused with a status, never anything else."""
    configure_libraries()
    image = chest("1.2.3")
    implicit = encode(image, is_implicit_vr=True, is_little_endian=True)
    assert implicit is not None
    sources = [(encoded(image), _SYNTAXES[1]), (implicit, str(ImplicitVRLittleEndian))]
    taken = 0
    for _ in range(trials):
        content, syntax = randomness.choice(sources)
        if randomness.random() < 0.1:
            syntax = randomness.choice(_SYNTAXES)
        request = SimpleNamespace(
            AffectedSOPClassUID=image.SOPClassUID,
            AffectedSOPInstanceUID=image.SOPInstanceUID,
            DataSet=_Stream(spoilt(content, randomness)),
            Priority=2,
        )
        context = SimpleNamespace(abstract_syntax=image.SOPClassUID, transfer_syntax=syntax)
        try:
            received_instance(request, context, "FUZZ")
            taken += 1
        except InstanceRejected:
            continue
    return Tally(trials, notes=[f"{taken} taken, {trials - taken} refused"])


def pdus(folder: Path, randomness: random.Random, trials: int) -> Tally:
    """Connections that send spoilt PDUs to a node that goes on receiving from others."""
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


class _Stream:
    def __init__(self, content: bytes) -> None:
        self._content = content

    def getvalue(self) -> bytes:
        return self._content


def _conversation() -> list[bytes]:
    """Return what a sender says: the request for an association, an image, the request to release it."""
    return [
        association_request("ECHO_NODE"),
        bytes(store_request(16_384, 20_000, 0)),
        bytes([5, 0, 0, 0, 0, 4, 0, 0, 0, 0]),
    ]
