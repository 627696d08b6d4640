"""MLLP over real sockets: what each acknowledgement means for a delivery, and what silence does."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest
from support.mllp import BEGIN, END, ReportingSystem, acknowledgement

from echo_node.domain.drafts.report import EncodedDocument
from echo_node.domain.ports import DeliveryOutcome
from echo_node.errors import PermanentError, TransientError
from echo_node.hl7.mllp import MllpSender
from echo_node.settings import Peer

MESSAGE = b"MSH|^~\\&|ECHO_NODE||||20260102030405||ORU^R01^ORU_R01|id1|P|2.5.1\rPID|1||4711\r"
DOCUMENT = EncodedDocument("oru-r01", "1.2.3", "1.2.3.4", "", "", MESSAGE)


def sender(system: ReportingSystem, scheme: str = "mllp", host: str = "127.0.0.1") -> MllpSender:
    peer = Peer(ae_title="RIS", mllp_url=f"{scheme}://{host}:{system.port}")
    return MllpSender({"ris": peer}, 5.0)


@pytest.mark.parametrize("code", ["AA", "CA"])
def test_accepted_is_delivered_and_the_bytes_are_those_stored(code: str) -> None:
    with ReportingSystem(code) as system:
        assert sender(system).send(DOCUMENT, "ris") == (DeliveryOutcome.SUCCESS, 0)
        assert system.received == [MESSAGE]


@pytest.mark.parametrize("code", ["AE", "CE"])
def test_an_error_may_pass(code: str) -> None:
    with ReportingSystem(code, "AA") as system:
        with pytest.raises(TransientError, match=f"answers {code}") as caught:
            sender(system).send(DOCUMENT, "ris")
        assert "Doe" not in str(caught.value)
        assert sender(system).send(DOCUMENT, "ris") == (DeliveryOutcome.SUCCESS, 0)
        assert system.received == [MESSAGE, MESSAGE]


@pytest.mark.parametrize("code", ["AR", "CR"])
def test_a_rejection_is_for_good(code: str) -> None:
    with ReportingSystem(code) as system, pytest.raises(PermanentError, match=f"answers {code}") as caught:
        sender(system).send(DOCUMENT, "ris")
    assert "Doe" not in str(caught.value)


@pytest.mark.parametrize(
    "answer",
    [
        BEGIN + b"MSH|^~\\&|RIS\r" + END,
        BEGIN + b"hello" + END,
        BEGIN + END,
        BEGIN + b"MSH|^~\\&|RIS\rMSA|XX|id1\r" + END,
        BEGIN + b"MSA|AA|id1\r" + END,
        BEGIN + b"MSH|^~\\&|\xff\xfe\rMSA\r" + END,
        acknowledgement(MESSAGE, "AA", about="other"),
        acknowledgement(MESSAGE, "AR", about="other"),
        acknowledgement(MESSAGE, "AA")[:-2],
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        None,
    ],
)
def test_what_is_no_acknowledgement_of_ours_is_tried_again(answer: bytes | None) -> None:
    with ReportingSystem(answer) as system, pytest.raises(TransientError):
        sender(system).send(DOCUMENT, "ris")


def test_another_separator_and_line_feeds_are_understood() -> None:
    answer = BEGIN + b"MSH#^~\\&#RIS\r\nMSA#AA#id1\r\n" + END
    with ReportingSystem(b"\r\n" + answer) as system:
        assert sender(system).send(DOCUMENT, "ris") == (DeliveryOutcome.SUCCESS, 0)


def test_silence_is_a_time_out() -> None:
    with ReportingSystem("") as system:
        peer = Peer(ae_title="RIS", mllp_url=f"mllp://127.0.0.1:{system.port}")
        with pytest.raises(TransientError, match="did not acknowledge the message: TimeoutError"):
            MllpSender({"ris": peer}, 0.2).send(DOCUMENT, "ris")
        assert system.received == [MESSAGE]


def test_nobody_there_is_tried_again_and_a_peer_that_is_gone_is_not() -> None:
    with ReportingSystem() as system:
        gone = sender(system)
    with pytest.raises(TransientError, match="cannot be reached: ConnectionRefusedError"):
        gone.send(DOCUMENT, "ris")
    with pytest.raises(TransientError):
        gone.probe("ris")
    for peers in ({}, {"ris": Peer(ae_title="RIS", host="127.0.0.1")}):
        with pytest.raises(PermanentError, match=r"add it to peers\.toml"):
            MllpSender(peers, 1.0).send(DOCUMENT, "ris")


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for localhost that vouches for itself, with its key in the same file."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate with")
    path, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(path)],
        check=True,
        capture_output=True,
        timeout=120,
    )  # fmt: skip
    path.write_bytes(path.read_bytes() + key.read_bytes())
    return path


def test_over_tls_only_to_who_can_prove_who_it_is(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with ReportingSystem("AA", tls=context) as system:
        with pytest.raises(TransientError, match="SSLCertVerificationError"):
            sender(system, "mllps", "localhost").send(DOCUMENT, "ris")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert sender(system, "mllps", "localhost").send(DOCUMENT, "ris") == (DeliveryOutcome.SUCCESS, 0)
        sender(system, "mllps", "localhost").probe("ris")
        with pytest.raises(TransientError, match="SSLCertVerificationError"):
            sender(system, "mllps", "127.0.0.1").send(DOCUMENT, "ris")
        assert system.received == [MESSAGE]
