"""A modality for measurements: it sends one image repeatedly under new UIDs, as fast as possible.

pynetdicom encodes the request once, and the sender then sends bytes, so that the benchmark measures
the receiver. Each association is a separate process.
"""

from __future__ import annotations

import io
import multiprocessing
import socket
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import UID, ComputedRadiographyImageStorage, ExplicitVRLittleEndian
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ, P_DATA_TF
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    MaximumLengthNotification,
)
from pynetdicom.presentation import build_context

from echo_node.dicom.uids import IMPLEMENTATION_CLASS_UID
from echo_node.errors import PermanentError

_CALLING = "BENCH"
_PLACEHOLDER = "2.25.1000000000000000000000000000000000001"
_STATUS = struct.pack("<HHI", 0x0000, 0x0900, 2)
_ACCEPTED, _DATA = 0x02, 0x04
_RELEASE_RQ = struct.pack(">BxLL", 0x05, 4, 0)
_MAX_PDU_BYTES = 131_072
_PATIENCE_S = 120.0


@dataclass(frozen=True, slots=True)
class Sent:
    """Times of one association.

    Attributes:
        seconds: duration of each C-STORE, from its first byte to its response, in seconds.
        begun: start of the first C-STORE, by the system's monotonic clock.
        ended: arrival of the last response, by the same clock.
    """

    seconds: tuple[float, ...]
    begun: float
    ended: float


def send_side_by_side(
    port: int, called_ae_title: str, size_bytes: int, associations: int, images: int
) -> Sequence[Sent]:
    """Send *images* images over each of several concurrent associations to a port of this machine.

    Raises:
        PermanentError: an association was rejected, an image was not stored, or a process died.
    """
    context = multiprocessing.get_context("spawn")
    pipes, processes = [], []
    for number in range(associations):
        ours, theirs = context.Pipe()
        arguments = (theirs, port, called_ae_title, size_bytes, number, images)
        process = context.Process(target=_send, args=arguments, daemon=True)
        process.start()
        theirs.close()
        pipes.append(ours)
        processes.append(process)
    try:
        for pipe in pipes:
            _answer(pipe)  # the association is established
        for pipe in pipes:
            pipe.send("go")
        return [_answer(pipe) for pipe in pipes]
    finally:
        for process in processes:
            process.join(5)
            process.kill()


def _answer(pipe: Connection) -> Any:
    try:
        answer = pipe.recv()
    except EOFError:
        raise PermanentError("a sending process died") from None
    if isinstance(answer, str) and answer:
        raise PermanentError(f"the receiver could not be measured: {answer}")
    return answer


def _send(pipe: Connection, port: int, called: str, size_bytes: int, number: int, images: int) -> None:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE_S) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            message = store_request(_associate(connection, called), size_bytes, number)
            pipe.send("")
            pipe.recv()
            pipe.send(_send_all(connection, message, number, images))
            connection.sendall(_RELEASE_RQ)
            connection.recv(16)
    except (OSError, PermanentError) as error:
        pipe.send(f"{type(error).__name__}: {error}")


def _send_all(connection: socket.socket, message: bytearray, number: int, images: int) -> Sent:
    places, at = [], message.find(_PLACEHOLDER.encode())
    while at >= 0:
        places.append(at)
        at = message.find(_PLACEHOLDER.encode(), at + 1)
    salt, seconds = time.time_ns() % 10**18, []
    begun = time.monotonic()
    for image in range(images):
        uid = f"2.25.1{salt:018d}{number:05d}{image:013d}".encode()
        for place in places:
            message[place : place + len(uid)] = uid
        started = time.monotonic()
        connection.sendall(message)
        status = _status(connection)
        seconds.append(time.monotonic() - started)
        if status != 0:
            raise PermanentError(f"status 0x{status:04X}")
    return Sent(tuple(seconds), begun, time.monotonic())


def association_request(called: str) -> bytes:
    """Return the A-ASSOCIATE-RQ PDU for Computed Radiography."""
    length, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
    length.maximum_length_received = _MAX_PDU_BYTES
    implementation.implementation_class_uid = UID(IMPLEMENTATION_CLASS_UID)
    request = A_ASSOCIATE()
    request.application_context_name = UID("1.2.840.10008.3.1.1.1")
    request.calling_ae_title, request.called_ae_title = _CALLING, called
    context = build_context(ComputedRadiographyImageStorage, ExplicitVRLittleEndian)
    context.context_id = 1
    request.presentation_context_definition_list = [context]
    request.user_information = [length, implementation]
    pdu = A_ASSOCIATE_RQ()
    pdu.from_primitive(request)
    return bytes(pdu.encode())


def _associate(connection: socket.socket, called: str) -> int:
    """Negotiate an association; return the maximum PDU length that the peer accepts, in bytes."""
    connection.sendall(association_request(called))
    kind, content = _pdu(connection)
    if kind != _ACCEPTED:
        raise PermanentError("the association was rejected")
    answer = A_ASSOCIATE_AC()
    answer.decode(content)
    accepted = answer.to_primitive()
    if accepted.presentation_context_definition_results_list[0].result != 0:
        raise PermanentError("Computed Radiography was not accepted")
    return int(accepted.maximum_length_received or 0) or _MAX_PDU_BYTES


def store_request(longest_pdu: int, size_bytes: int, number: int) -> bytearray:
    """Return all PDUs of a C-STORE request, with a placeholder as SOP Instance UID."""
    stream = io.BytesIO()
    _image(size_bytes, number).save_as(stream, implicit_vr=False, little_endian=True)
    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID = ComputedRadiographyImageStorage
    request.AffectedSOPInstanceUID = UID(_PLACEHOLDER)
    request.DataSet = stream
    dimse = C_STORE_RQ()
    dimse.primitive_to_message(request)
    encoded = bytearray()
    for part in dimse.encode_msg(1, min(longest_pdu, _MAX_PDU_BYTES)):
        pdu = P_DATA_TF()
        pdu.from_primitive(part)
        encoded += pdu.encode()
    return encoded


def _image(size_bytes: int, number: int) -> Dataset:
    rows, columns = max(1, size_bytes // 2 // 2048), 2048
    image = Dataset()
    image.SOPClassUID = ComputedRadiographyImageStorage
    image.SOPInstanceUID = UID(_PLACEHOLDER)
    image.StudyInstanceUID = UID(f"2.25.2{time.time_ns() % 10**18:018d}{number:05d}")
    image.SeriesInstanceUID = UID(f"{image.StudyInstanceUID}1")
    image.Modality, image.BodyPartExamined = "CR", "CHEST"
    image.PatientID, image.PatientName = f"BENCH{number}", "Bench^Phantom"
    image.Rows, image.Columns, image.SamplesPerPixel = rows, columns, 1
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 12, 11, 0
    image.PhotometricInterpretation = "MONOCHROME2"
    noise = np.random.default_rng(number).integers(0, 4096, (rows, columns), dtype=np.uint16)
    image.PixelData = noise.tobytes()
    return image


def _status(connection: socket.socket) -> int:
    kind, content = _pdu(connection)
    at = content.find(_STATUS)
    if kind != _DATA or at < 0:
        raise PermanentError("the receiver ended the association")
    return int(struct.unpack_from("<H", content, at + len(_STATUS))[0])


def _pdu(connection: socket.socket) -> tuple[int, bytes]:
    """Return the type of the next PDU and the whole PDU."""
    header = _exactly(connection, 6)
    kind, length = struct.unpack(">BxL", header)
    return kind, header + _exactly(connection, length)


def _exactly(connection: socket.socket, count: int) -> bytes:
    received = bytearray()
    while len(received) < count:
        part = connection.recv(count - len(received))
        if not part:
            raise PermanentError("the receiver closed the connection")
        received += part
    return bytes(received)
