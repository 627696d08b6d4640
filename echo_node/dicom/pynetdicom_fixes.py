"""The socket of an association, closed whatever becomes of the peer; and whose each answer is.

pynetdicom shuts a connection down and then closes the socket, but leaves out the second if the first fails,
as it does when the peer has gone or was never reached; the file descriptor then lives until the garbage
collector comes by. A node that tries a dead PACS again and again must not gather them.

Whoever asks over an association halts its thread first, so that the answer is not taken for a request there;
but pynetdicom takes a thread that is just passing the barrier for one that stands at it, and now and then an
answer is lost (its issue 875). Here the barrier itself tells who stands at it.

A rejection is lost where it is here, and the connection closed, before the thread that asked gets to look.
Here it is noted as it comes.
"""

from __future__ import annotations

import threading
from typing import Any

from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.pdu import A_ASSOCIATE_RJ
from pynetdicom.transport import AssociationSocket


class ClosingSocket(AssociationSocket):
    """Gives its file descriptor back at once."""

    def _shutdown_socket(self) -> None:
        connection = self.socket
        super()._shutdown_socket()
        if connection is not None:
            connection.close()


class _Barrier:
    """Stands in for the Event that halts an association's thread; shut, it is shut once that thread waits."""

    _LOOK_EVERY_S = 0.05

    def __init__(self, association: Association) -> None:
        self._association = association
        self._changed = threading.Condition()
        self._is_open = True
        self._holds_somebody = False

    def wait(self) -> bool:
        """Hold the association's thread while the barrier is shut."""
        with self._changed:
            while not self._is_open:
                self._holds_somebody = True
                self._changed.notify_all()
                self._changed.wait()
            self._holds_somebody = False
        return True

    def clear(self) -> None:
        """Shut it, and return when the thread stands before it, has ended, or somebody opens it again."""
        with self._changed:
            self._is_open = False
            if threading.current_thread() is self._association:
                return
            while not (self._holds_somebody or self._is_open) and self._association.is_alive():
                self._changed.wait(self._LOOK_EVERY_S)

    def set(self) -> None:
        """Open it."""
        with self._changed:
            self._is_open = True
            self._changed.notify_all()


def _note_rejection(event: evt.Event) -> None:
    if isinstance(event.pdu, A_ASSOCIATE_RJ):
        event.assoc.acceptor.primitive = event.pdu.to_primitive()
        event.assoc.is_rejected = True


class Requestor(ApplicationEntity):
    """An application entity whose associations go out over such sockets, and lose no answer."""

    def _create_socket(self, assoc: Association, address: Any, tls_args: Any) -> AssociationSocket:
        assoc._reactor_checkpoint = _Barrier(assoc)  # type: ignore[assignment]  # noqa: SLF001
        assoc.bind(evt.EVT_PDU_RECV, _note_rejection)
        connection = ClosingSocket(assoc, address=address)
        connection.tls_args = tls_args
        return connection
