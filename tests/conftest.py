"""What all tests share: DICOM peers, made of pynetdicom, that close the sockets of lost connections."""

from collections.abc import Iterator

import pytest
from pynetdicom.transport import AssociationSocket

_as_it_is = AssociationSocket._shutdown_socket


def _and_close(self: AssociationSocket) -> None:
    connection = self.socket
    _as_it_is(self)
    if connection is not None:
        connection.close()


@pytest.fixture(scope="session", autouse=True)
def _closing_sockets() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AssociationSocket, "_shutdown_socket", _and_close)
        yield


@pytest.fixture
def bare_pynetdicom(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave pynetdicom as it is, to see what the node's own sockets do."""
    monkeypatch.setattr(AssociationSocket, "_shutdown_socket", _as_it_is)
