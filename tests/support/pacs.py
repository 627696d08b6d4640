"""A small PACS: it stores computed radiography, answers C-ECHO and, on request, C-FIND."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from pynetdicom import AE, evt
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import ComputedRadiographyImageStorage, Verification  # type: ignore[attr-defined]

_STUDY_ROOT = "1.2.840.10008.5.1.4.1.2.2.1"


class Pacs:
    """A peer that answers C-STORE with the status that it is told to.

    Attributes:
        status: status of the next answers.
        received: number of C-STORE requests.
        associations: number of associations.
        host, port: address.
    """

    def __init__(self) -> None:
        self.status = 0x0000
        self.received = self.associations = 0
        entity = AE("PACS")
        entity.require_called_aet = True
        entity.add_supported_context(Verification)
        entity.add_supported_context(ComputedRadiographyImageStorage)
        entity.add_supported_context(ComputedRadiographyImageStorage, "1.2.840.10008.1.2.1")
        handlers: list[evt.EventHandlerType] = [
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_ACCEPTED, self._accepted),
            (evt.EVT_C_FIND, lambda _event: iter([(0x0000, None)])),
        ]
        server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        assert server is not None
        self._server = server
        self.host, self.port = "127.0.0.1", int(self._server.server_address[1])

    @property
    def address(self) -> str:
        """The address as `host:port`."""
        return f"{self.host}:{self.port}"

    def answers_questions(self) -> None:
        """Accept C-FIND from now on."""
        self._server.contexts = [*self._server.contexts, build_context(_STUDY_ROOT)]

    def _store(self, _event: evt.Event) -> int:
        self.received += 1
        return self.status

    def _accepted(self, _event: evt.Event) -> None:
        self.associations += 1

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def unused_port() -> Iterator[int]:
    """Yield a port on which nothing listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield int(held.getsockname()[1])
