"""Answers reach whoever asked, however slow the association's own thread is."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from echo_node.dicom.pynetdicom_fixes import Requestor

_look = DIMSEServiceProvider.get_msg


class _Interrupted:
    """The association's word that its thread is halted, taken back late: others had the processor."""

    def __get__(self, association: Association, _owner: object = None) -> bool:
        return bool(association.__dict__["_is_paused"])

    def __set__(self, association: Association, paused: bool) -> None:
        if not paused and association.is_requestor:
            time.sleep(0.03)
        association.__dict__["_is_paused"] = paused


def _look_late(self: DIMSEServiceProvider, block: bool = False) -> Any:
    """Look for an answer as whoever asked does, when others had the processor for still longer."""
    if block:
        time.sleep(0.06)
    return _look(self, block)


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(Association, "_is_paused", _Interrupted(), raising=False)
    monkeypatch.setattr(DIMSEServiceProvider, "get_msg", _look_late)
    entity = AE("PACS")
    entity.add_supported_context(Verification)
    server = entity.start_server(("127.0.0.1", 0), block=False)
    assert server is not None
    yield int(server.server_address[1])
    server.shutdown()
    server.server_close()


def test_no_answer_is_lost(port: int) -> None:
    entity = Requestor("ECHO_NODE")
    entity.dimse_timeout = 5
    entity.add_requested_context(Verification)
    association = entity.associate("127.0.0.1", port, ae_title="PACS")
    answers = [association.send_c_echo() for _ in range(10)]
    assert [answer.get("Status") for answer in answers] == [0x0000] * 10
    association.release()
    association.join(10)
    assert (association.is_released, association.is_alive()) == (True, False)
