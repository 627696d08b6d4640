"""Sinks for the instances of tests of the C-STORE provider."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO

from echo_node.domain.studies.intake import Piece, StoreOutcome
from echo_node.domain.studies.study import ReceivedInstance


class Sink:
    """Keeps what it is given, in memory, or does what the test says (domain.intake.InstanceSink).

    Attributes:
        received: what was stored, in order; `data_sets` and `files` are the bytes of each.
        failure: raised where an instance would be stored.
        refusal: raised where one would begin.
        left: how many instances were begun and have not ended.
    """

    def __init__(self) -> None:
        self.received: list[ReceivedInstance] = []
        self.data_sets: list[bytes] = []
        self.files: list[bytes] = []
        self.failure: BaseException | None = None
        self.refusal: BaseException | None = None
        self.outcome = StoreOutcome.STORED
        self.left = 0

    @contextmanager
    def begin(self, file_meta: bytes) -> Iterator["Arriving"]:
        if self.refusal is not None:
            raise self.refusal
        self.left += 1
        try:
            yield Arriving(self, file_meta)
        finally:
            self.left -= 1

    def store(self, received: ReceivedInstance, file_meta: bytes, data_set: bytes) -> StoreOutcome:
        if self.failure is not None:
            raise self.failure
        self.received.append(received)
        self.data_sets.append(data_set)
        self.files.append(file_meta + data_set)
        return self.outcome


class Arriving:
    """An arriving instance, in memory. Implements InstanceArrival."""

    def __init__(self, sink: Sink, file_meta: bytes) -> None:
        self._sink = sink
        self._file_meta = file_meta
        self._content = BytesIO()

    def write(self, piece: Piece) -> None:
        self._content.write(piece)

    def data_set(self) -> BytesIO:
        return BytesIO(self._content.getvalue())

    def store(self, received: ReceivedInstance) -> StoreOutcome:
        return self._sink.store(received, self._file_meta, self._content.getvalue())
