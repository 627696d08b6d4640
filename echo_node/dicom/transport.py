"""The socket of an association, closed whatever becomes of the peer.

pynetdicom shuts a connection down and then closes the socket, but leaves out the second if the first fails,
as it does when the peer has gone or was never reached; the file descriptor then lives until the garbage
collector comes by. A node that tries a dead PACS again and again must not gather them.
"""

from __future__ import annotations

from typing import Any

from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.transport import AssociationSocket


class ClosingSocket(AssociationSocket):
    """Gives its file descriptor back at once."""

    def _shutdown_socket(self) -> None:
        connection = self.socket
        super()._shutdown_socket()
        if connection is not None:
            connection.close()


class Requestor(ApplicationEntity):
    """An application entity whose associations go out over such sockets."""

    def _create_socket(self, assoc: Association, address: Any, tls_args: Any) -> AssociationSocket:
        connection = ClosingSocket(assoc, address=address)
        connection.tls_args = tls_args
        return connection
