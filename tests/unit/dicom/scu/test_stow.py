"""Outcomes of a delivery for each answer to STOW-RS, with a scripted service."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from support.studies import document

from echo_node.dicom.scu.destinations import Destinations
from echo_node.dicom.scu.stow import StowSender
from echo_node.domain.ports import DeliveryOutcome
from echo_node.errors import PermanentError, TransientError
from echo_node.settings import Peer

DOCUMENT = document(1, 1, b"DICM and so on")


class Service:
    """Answers with `code` and `body`, and keeps what was asked."""

    def __init__(self) -> None:
        self.code, self.body = 200, b"{}"
        self.path, self.headers, self.received = "", dict[str, str](), b""
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                service.path, service.headers = self.path, dict(self.headers)
                service.received = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(service.code)
                self.send_header("Content-Length", str(len(service.body)))
                self.end_headers()
                self.wfile.write(service.body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/dicom-web/"

    def says(self, code: int, sequence: str = "", **reason: int) -> None:
        item: dict[str, dict[str, object]] = {"00081155": {"vr": "UI", "Value": [DOCUMENT.sop_instance_uid]}}
        item |= {tag.removeprefix("tag"): {"vr": "US", "Value": [value]} for tag, value in reason.items()}
        self.code = code
        self.body = json.dumps({sequence: {"vr": "SQ", "Value": [item]}} if sequence else {}).encode()


@pytest.fixture
def service() -> Iterator[Service]:
    running = Service()
    yield running
    running.server.shutdown()
    running.server.server_close()


def _send(service: Service, token: str = "") -> tuple[DeliveryOutcome, int]:
    peers = {"pacs": Peer(ae_title="PACS", stow_url=service.url, stow_token=token)}
    return Destinations("ECHO_NODE", peers, 5).send(DOCUMENT, "pacs")


def test_the_stored_bytes_are_one_part_of_a_multipart_request(service: Service) -> None:
    assert _send(service, "s3cret") == (DeliveryOutcome.SUCCESS, 0)
    assert service.path == "/dicom-web/studies"
    assert service.headers["Authorization"] == "Bearer s3cret"
    kind, _, boundary = service.headers["Content-Type"].partition("; boundary=")
    assert kind == 'multipart/related; type="application/dicom"'
    head, content, end = service.received.partition(DOCUMENT.content)
    assert head.decode() == f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n"
    assert (content, end.decode()) == (DOCUMENT.content, f"\r\n--{boundary}--\r\n")


def test_stored_is_stored_and_a_warning_is_not_retried(service: Service) -> None:
    service.says(202, "00081199")
    assert _send(service) == (DeliveryOutcome.SUCCESS, 0)
    assert "Authorization" not in service.headers
    service.says(202, "00081199", tag00081196=0xB006)
    assert _send(service) == (DeliveryOutcome.WARNING, 0xB006)


@pytest.mark.parametrize(
    ("code", "reason", "error"),
    [
        (409, 0xA700, TransientError),
        (409, 0x0110, TransientError),
        (202, 0xC000, PermanentError),
        (409, 0x0122, PermanentError),
    ],
)
def test_a_failure_means_what_the_status_of_a_c_store_would(
    service: Service, code: int, reason: int, error: type[Exception]
) -> None:
    service.says(code, "00081198", tag00081197=reason)
    with pytest.raises(error, match=f"0x{reason:04X}"):
        _send(service)


def test_a_duplicate_is_there(service: Service) -> None:
    service.says(409, "00081198", tag00081197=0x0111)
    assert _send(service) == (DeliveryOutcome.WARNING, 0x0111)


@pytest.mark.parametrize("code", [500, 503, 408, 429])
def test_what_may_pass_is_transient(service: Service, code: int) -> None:
    service.code = code
    with pytest.raises(TransientError, match=f"HTTP {code}"):
        _send(service)


@pytest.mark.parametrize("code", [400, 401, 403, 404, 415])
def test_what_will_not_pass_is_permanent(service: Service, code: int) -> None:
    service.code = code
    with pytest.raises(PermanentError, match=f"HTTP {code}: check stow_url"):
        _send(service)


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b'{"00081198": 3}', b"{}"])
def test_an_answer_that_says_nothing_of_our_object_is_asked_for_again(service: Service, body: bytes) -> None:
    service.code, service.body = 202, body
    with pytest.raises(TransientError):
        _send(service)


def test_a_service_that_is_not_there_may_come_back() -> None:
    sender = StowSender({"pacs": Peer(ae_title="PACS", stow_url="http://127.0.0.1:9")}, 2)
    with pytest.raises(TransientError, match="cannot be reached: ConnectionRefusedError"):
        sender.send(DOCUMENT, "pacs")
