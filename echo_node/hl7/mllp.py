"""Sender by MLLP: a message in a frame, and the acknowledgement that states its outcome.

Each delivery has its own connection, as it has its own association in DICOM.
Source: HL7 2.5.1, 2.9.2, 2.15.8 (MSA); Transport Specification: MLLP, release 1.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from echo_node.domain.drafts.report import EncodedDocument
from echo_node.domain.ports import DeliveryOutcome
from echo_node.errors import PermanentError, TransientError
from echo_node.settings import Peer

_BEGIN, _END = b"\x0b", b"\x1c\r"
_LONGEST_ANSWER = 1 << 20
_ACCEPTED, _MAY_PASS, _REFUSED = {"AA", "CA"}, {"AE", "CE"}, {"AR", "CR"}


class MllpSender:
    """Implements the DocumentSender port for peers that have an `mllp_url`.

    Args:
        peers: peers by configured name.
        timeout_s: longest time for the connection, and then for the answer, in seconds.
    """

    def __init__(self, peers: Mapping[str, Peer], timeout_s: float) -> None:
        self._peers = peers
        self._timeout_s = timeout_s

    def send(self, document: EncodedDocument, destination: str) -> tuple[DeliveryOutcome, int]:
        """Send the stored bytes. The status is 0, because HL7 has none.

        Raises:
            TransientError: no connection, time-out, an unreadable answer, or AE.
            PermanentError: AR, or the peer is no longer configured.
        """
        with self._connected(destination) as connection:
            try:
                connection.sendall(_BEGIN + document.content + _END)
                answer = _framed(connection, time.monotonic() + self._timeout_s)
            except OSError as error:
                reason = type(error).__name__
                raise TransientError(f"{destination} did not acknowledge the message: {reason}") from error
        _judge(destination, _control_id(document.content), answer)
        return DeliveryOutcome.SUCCESS, 0

    def probe(self, destination: str) -> None:
        """Check that the peer accepts a connection, and over TLS that its certificate is valid.

        Raises:
            TransientError: the peer cannot be reached, or its certificate is invalid.
        """
        with self._connected(destination):
            pass

    @contextlib.contextmanager
    def _connected(self, destination: str) -> Iterator[socket.socket]:
        peer = self._peers.get(destination)
        if peer is None or not peer.mllp_url:
            raise PermanentError(
                f"no peer '{destination}' with an mllp_url; add it to peers.toml, then retry"
            )
        url = urlsplit(peer.mllp_url)
        host = url.hostname or ""
        try:
            connection = socket.create_connection((host, url.port or 0), timeout=self._timeout_s)
            if url.scheme == "mllps":
                connection = _secured(connection, host)
        except OSError as error:
            raise TransientError(f"{destination} cannot be reached: {type(error).__name__}") from error
        with connection:
            yield connection


def _secured(connection: socket.socket, host: str) -> socket.socket:
    try:
        return ssl.create_default_context().wrap_socket(connection, server_hostname=host)
    except OSError:
        connection.close()
        raise


def _framed(connection: socket.socket, deadline: float) -> bytes:
    """Return the content of the next frame; bytes before it are discarded.

    Raises:
        OSError: no frame arrives in time, the connection ends, or the frame is too long.
    """
    received = b""
    while _END not in received.partition(_BEGIN)[2]:
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError
        connection.settimeout(remaining)
        piece = connection.recv(65_536)
        if not piece:
            raise ConnectionResetError
        received += piece
        if len(received) > _LONGEST_ANSWER:
            raise ConnectionAbortedError
    return received.partition(_BEGIN)[2].partition(_END)[0]


def _control_id(content: bytes) -> str:
    return _fields(content.split(b"\r", 1)[0])[9]


def _judge(destination: str, control_id: str, answer: bytes) -> None:
    """Raise an error unless the acknowledgement accepts the message. No text of it is repeated."""
    segments = answer.replace(b"\n", b"\r").split(b"\r") if answer.startswith(b"MSH") else []
    acknowledgement = next((_fields(each, answer[3:4]) for each in segments if each.startswith(b"MSA")), [])
    code, about = (*acknowledgement[1:3], "", "")[:2]
    if code not in _ACCEPTED | _MAY_PASS | _REFUSED:
        raise TransientError(f"{destination} answers with something that is not an HL7 acknowledgement")
    if about != control_id:
        raise TransientError(f"{destination} acknowledges another message than ours")
    if code in _MAY_PASS:
        raise TransientError(f"{destination} cannot take the message now: it answers {code}")
    if code in _REFUSED:
        raise PermanentError(f"{destination} refuses the message: it answers {code}; see its own log")


def _fields(line: bytes, separator: bytes = b"|") -> list[str]:
    return line.decode("utf-8", "replace").split(separator.decode("latin-1") or "|")
