"""Answers reach the requesting thread, even if the association's own thread is slow."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from pynetdicom import AE, __version__
from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from echo_node.dicom.pynetdicom_adapter import PRIVATE_NAMES, REPLACED_OR_CALLED, Requestor, source_digest

_look = DIMSEServiceProvider.get_msg


class _Interrupted:
    """The association's flag that its thread is halted, reset late: others had the processor."""

    def __get__(self, association: Association, _owner: object = None) -> bool:
        return bool(association.__dict__["_is_paused"])

    def __set__(self, association: Association, paused: bool) -> None:
        if not paused and association.is_requestor:
            time.sleep(0.03)
        association.__dict__["_is_paused"] = paused


def _look_late(self: DIMSEServiceProvider, block: bool = False) -> Any:
    """Look for an answer like a requesting thread, after others had the processor for longer."""
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


SOURCES = {
    "Association._abort_blocking": "10b43ef8c63c6764",
    "Association._serve_request": "2f24c1759cdf6c8c",
    "DULServiceProvider._decode_pdu": "fc71dd1bf853e1ce",
    "DULServiceProvider._process_recv_primitive": "4c0ebbb3e646e35e",
    "AssociationSocket._shutdown_socket": "e2b2628faa81a578",
    "RequestHandler._create_association": "05c8d12b79863cdb",
    "ApplicationEntity._create_socket": "f56bca8888e1ce9f",
}
"""Digests of the private methods' sources, as of pynetdicom 3.0.4."""

CHANGED = (
    "pynetdicom {version} changed {what}, a private part of it that this node relies on: read the change, "
    "adapt echo_node/dicom/pynetdicom_adapter.py and echo_node/dicom/scp, then renew this digest"
)


@pytest.mark.usefixtures("bare_pynetdicom")
@pytest.mark.parametrize(("owner", "name"), REPLACED_OR_CALLED)
def test_private_methods_are_those_that_the_adapter_was_written_for(owner: type, name: str) -> None:
    what = f"{owner.__name__}.{name}"
    assert source_digest(owner, name) == SOURCES[what], CHANGED.format(version=__version__, what=what)


def test_private_attributes_exist() -> None:
    association = Association(AE(), "acceptor")
    for owner, names in (
        (association, PRIVATE_NAMES["association"]),
        (association.dul, PRIVATE_NAMES["network"]),
    ):
        missing = [name for name in names if not hasattr(owner, name)]
        assert not missing, CHANGED.format(version=__version__, what=", ".join(missing))
