"""A modality asks for storage commitment and is answered, over real associations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from pydicom.dataset import Dataset
from structlog.testing import capture_logs
from support.modality import INSTANCE, Modality
from support.sinks import Sink

from echo_node.dicom.scp import storage_commitment
from echo_node.dicom.scp.provider import StorageProvider
from echo_node.dicom.scu.storage_commitment import Answerer, CommitmentUser
from echo_node.domain.work.commitment import (
    COMMITTED,
    AnswerJob,
    CommitmentJob,
    CommitmentReport,
    CommitmentRequest,
    ReferencedInstance,
)
from echo_node.domain.work.job import Lease
from echo_node.errors import PermanentError, TransientError
from echo_node.settings import IntakeSettings, NodeSettings, Peer

CR, DX = "1.2.840.10008.5.1.4.1.1.1", "1.2.840.10008.5.1.4.1.1.1.1"
UPS_PUSH = "1.2.840.10008.5.1.4.34.6.1"
ONE, TWO = ReferencedInstance(CR, "1.2.3.1"), ReferencedInstance(DX, "1.2.3.2")


class Promises:
    """Keeps requests, or does what the test says."""

    def __init__(self) -> None:
        self.requests: list[CommitmentRequest] = []
        self.failure: Exception | None = None
        self.is_another = False

    def accept(self, request: CommitmentRequest) -> bool:
        if self.failure is not None:
            raise self.failure
        self.requests.append(request)
        return not self.is_another


@contextmanager
def provider(
    peer: Peer,
    promises: Promises | None,
    on_report: Callable[[CommitmentReport, str], bool] | None = None,
    **intake: object,
) -> Iterator[int]:
    node = NodeSettings(bind_address="127.0.0.1", port=0)
    settings = IntakeSettings.model_validate(intake)
    running = StorageProvider(node, settings, {"room 1": peer}, Sink(), on_report, promises)
    port = running.start()
    try:
        yield port
    finally:
        running.stop()


@pytest.fixture
def modality() -> Iterator[Modality]:
    asking = Modality()
    with asking.listening():
        yield asking


@pytest.fixture
def promises() -> Promises:
    return Promises()


@pytest.fixture
def port(modality: Modality, promises: Promises) -> Iterator[int]:
    with provider(modality.peer, promises) as bound:
        yield bound


def answer(
    statuses: dict[ReferencedInstance, int], ae_title: str = "MODALITY", own: str = "ECHO_NODE"
) -> AnswerJob:
    lease = Lease(1, 1, 1, "test", datetime.now(UTC))
    return AnswerJob(lease, ae_title, own, "1.7.1", "ARCHIVE", statuses)


def test_a_request_is_recorded_before_it_is_acknowledged(
    port: int, modality: Modality, promises: Promises
) -> None:
    assert modality.ask(port, "1.7.1", [ONE, TWO, ONE]) == 0x0000
    (request,) = promises.requests
    assert request == CommitmentRequest("MODALITY", "ECHO_NODE", "1.7.1", frozenset({ONE, TWO}))


def test_the_name_that_the_modality_called_is_the_one_that_answers(
    modality: Modality, promises: Promises
) -> None:
    with provider(modality.peer, promises, require_called_ae_title=False) as port:
        assert modality.ask(port, "1.7.1", [ONE], called="OLD_NAME") == 0x0000
    assert promises.requests[0].called_ae_title == "OLD_NAME"
    Answerer({"room 1": modality.peer}, 10).answer(answer({ONE: COMMITTED}, own="OLD_NAME"))
    assert modality.answers.get(timeout=10).calling == "OLD_NAME"


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"transaction_uid": "", "images": [ONE]}, 0x0115),
        ({"transaction_uid": "1.7.x", "images": [ONE]}, 0x0115),
        ({"transaction_uid": "../../x", "images": [ONE]}, 0x0115),
        ({"transaction_uid": "1.7.1", "images": []}, 0x0115),
        ({"transaction_uid": "1.7.1", "images": [ONE, ReferencedInstance(CR, "../x")]}, 0x0115),
        ({"transaction_uid": "1.7.1", "images": [ReferencedInstance("", "1.2.3.1")]}, 0x0115),
        ({"transaction_uid": "1.7.1", "images": [ONE], "action_type": 2}, 0x0123),
        ({"transaction_uid": "1.7.1", "images": [ONE], "sop_class": UPS_PUSH}, 0x0118),
        ({"transaction_uid": "1.7.1", "images": [ONE], "instance": f"{INSTANCE}.9"}, 0x0112),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_status(
    port: int, modality: Modality, promises: Promises, asked: dict[str, object], status: int
) -> None:
    with capture_logs() as logs:
        assert modality.ask(port, **asked) == status  # type: ignore[arg-type]
    assert promises.requests == []
    (refusal,) = [log for log in logs if log["event"] == "request_refused"]
    assert (refusal["peer"], refusal["status"]) == ("MODALITY", f"0x{status:04X}")
    assert ".." not in str(refusal)
    assert modality.ask(port, "1.7.1", [ONE]) == 0x0000  # the next one is taken


LEADING_ZERO = ReferencedInstance(CR, "1.2.3.007")
LONG = ReferencedInstance(CR, "1.2.3." + "8" * 100)


def test_uids_that_break_the_standard_are_asked_about_and_answered_as_they_are(
    port: int, modality: Modality, promises: Promises
) -> None:
    assert modality.ask(port, "1.7.01", [LEADING_ZERO, LONG]) == 0x0000
    (request,) = promises.requests
    assert request.transaction_uid == "1.7.01"
    assert request.instances == frozenset({LEADING_ZERO, LONG})
    Answerer({"room 1": modality.peer}, 10).answer(answer({LEADING_ZERO: COMMITTED, LONG: 0x0112}))
    answered = modality.answers.get(timeout=10)
    assert answered.committed == {(CR, LEADING_ZERO.sop_instance_uid)}
    assert answered.failed == {(CR, LONG.sop_instance_uid): 0x0112}


@pytest.mark.parametrize(("transaction_uid", "image"), [("1.7.01", ONE), ("1.7.1", LONG)])
def test_a_strict_peer_may_not_ask_with_such_uids(
    modality: Modality, promises: Promises, transaction_uid: str, image: ReferencedInstance
) -> None:
    with provider(modality.peer.model_copy(update={"uid_check": "strict"}), promises) as port:
        assert modality.ask(port, transaction_uid, [image]) == 0x0115
    assert promises.requests == []


def test_an_empty_request_is_refused(port: int, modality: Modality, promises: Promises) -> None:
    other = Dataset()
    other.PatientID = "1"
    assert modality.send(port, other) == 0x0115
    assert modality.send(port, None) == 0x0115
    assert promises.requests == []


def test_a_request_has_a_limit(
    port: int, modality: Modality, promises: Promises, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage_commitment, "MOST_INSTANCES", 3)
    images = [ReferencedInstance(CR, f"1.2.3.{number}") for number in range(1, 5)]
    assert modality.ask(port, "1.7.1", images[:3]) == 0x0000
    assert modality.ask(port, "1.7.2", images) == 0x0213
    assert len(promises.requests) == 1


@pytest.mark.parametrize(
    "known",
    [
        Peer(ae_title="ANOTHER", host="127.0.0.1", port=104),
        Peer(ae_title="MODALITY"),
        Peer(ae_title="MODALITY", host="127.0.0.1", port=0),
    ],
)
def test_who_could_not_be_answered_is_refused(promises: Promises, known: Peer) -> None:
    with provider(known, promises) as port, capture_logs() as logs:
        assert Modality().ask(port, "1.7.1", [ONE]) == 0x0124
    assert promises.requests == []
    (refusal,) = [log for log in logs if log["event"] == "request_refused"]
    assert "peers.toml" in refusal["reason"]


def test_a_transaction_uid_of_another_request_is_refused(
    port: int, modality: Modality, promises: Promises
) -> None:
    promises.is_another = True
    assert modality.ask(port, "1.7.1", [ONE]) == 0x0131


@pytest.mark.parametrize("failure", [TransientError("the database is locked"), RuntimeError("Doe^Jane")])
def test_what_cannot_be_recorded_is_not_acknowledged(
    port: int, modality: Modality, promises: Promises, failure: Exception
) -> None:
    promises.failure = failure
    with capture_logs() as logs:
        assert modality.ask(port, "1.7.1", [ONE]) == 0x0110
    assert [log["event"] for log in logs if log["event"].startswith("request")] == ["request_refused"]
    promises.failure = None
    assert modality.ask(port, "1.7.1", [ONE]) == 0x0000


def test_who_has_no_archive_takes_no_requests(modality: Modality) -> None:
    with (
        provider(modality.peer, None) as port,
        pytest.raises(AssertionError, match="does not take requests"),
    ):
        modality.ask(port, "1.7.1", [ONE])
    # A node that only has its own questions answered takes reports, and still no requests.
    with provider(modality.peer, None, lambda report, peer: True) as port:
        assert modality.ask(port, "1.7.1", [ONE]) == 0x0211


def test_an_archive_reports_to_a_node_that_is_asked_too(promises: Promises) -> None:
    """Both roles on one port: the archive calls as SCP (role selection), modalities request."""
    reports: list[tuple[CommitmentReport, str]] = []

    def take(report: CommitmentReport, peer: str) -> bool:
        reports.append((report, peer))
        return True

    archive = Peer(ae_title="ARCHIVE", host="127.0.0.1", port=104)
    with provider(archive, promises, take) as port:
        node = Peer(ae_title="ECHO_NODE", host="127.0.0.1", port=port)
        job = answer({ONE: COMMITTED, TWO: 0x0112}, ae_title="ECHO_NODE", own="ARCHIVE")
        Answerer({"node": node}, 10).answer(job)
        question = CommitmentJob(job.lease, "node", "1.7.9", (ONE,))
        assert CommitmentUser("ARCHIVE", {"node": node}, 10).request(question) is None
    expected = CommitmentReport("1.7.1", frozenset({ONE}), {TWO.sop_instance_uid: 0x0112})
    assert reports == [(expected, "ARCHIVE")]
    assert [request.transaction_uid for request in promises.requests] == ["1.7.9"]


def test_a_modality_is_told_what_is_committed_and_what_is_not(modality: Modality) -> None:
    answerer = Answerer({"room 1": modality.peer}, 10)
    answerer.answer(answer({ONE: COMMITTED, TWO: COMMITTED}))
    good = modality.answers.get(timeout=10)
    assert (good.calling, good.event_type, good.failed) == ("ECHO_NODE", 1, {})
    assert good.committed == {(CR, "1.2.3.1"), (DX, "1.2.3.2")}
    assert good.information.TransactionUID == "1.7.1"
    assert good.information.RetrieveAETitle == "ARCHIVE"
    assert good.roles == (False, True)  # we are the provider there
    answerer.answer(answer({ONE: COMMITTED, TWO: 0x0112}))
    mixed = modality.answers.get(timeout=10)
    assert (mixed.event_type, mixed.committed) == (2, {(CR, "1.2.3.1")})
    assert mixed.failed == {(DX, "1.2.3.2"): 0x0112}
    answerer.answer(answer({ONE: 0x0119}))
    bad = modality.answers.get(timeout=10)
    assert (bad.event_type, bad.committed, bad.failed) == (2, set(), {(CR, "1.2.3.1"): 0x0119})
    assert "ReferencedSOPSequence" not in bad.information
    assert "RetrieveAETitle" not in bad.information


@pytest.mark.parametrize(
    ("said", "passed_on"),
    [(0x0213, 0x0213), (0x0122, 0x0122), (0x0131, 0x0110), (0xC000, 0x0110), (0x0001, 0x0110)],
)
def test_reasons_that_mean_nothing_to_the_modality_are_not_passed_on(
    modality: Modality, said: int, passed_on: int
) -> None:
    Answerer({"room 1": modality.peer}, 10).answer(answer({ONE: said}))
    assert modality.answers.get(timeout=10).failed == {(CR, "1.2.3.1"): passed_on}


def test_a_modality_that_knows_no_role_selection_is_told_too() -> None:
    plain = Modality(negotiates_roles=False)
    with plain.listening() as peer:
        Answerer({"room 1": peer}, 10).answer(answer({ONE: COMMITTED}))
    assert plain.answers.get(timeout=10).event_type == 1


@pytest.mark.parametrize(
    ("status", "error"),
    [(0x0110, TransientError), (0x0213, TransientError), (0x0112, PermanentError), (0x0115, PermanentError)],
)
def test_a_modality_that_does_not_take_the_answer(
    modality: Modality, status: int, error: type[Exception]
) -> None:
    modality.status = status
    with pytest.raises(error, match=f"0x{status:04X}"):
        Answerer({"room 1": modality.peer}, 10).answer(answer({ONE: COMMITTED}))


def test_a_modality_that_is_away_may_come_back_and_one_that_is_gone_does_not() -> None:
    with Modality().listening() as peer:
        pass
    with pytest.raises(TransientError, match="cannot be reached"):
        Answerer({"room 1": peer}, 5).answer(answer({ONE: COMMITTED}))
    with pytest.raises(PermanentError, match=r"no peer with host and port has the AE title MODALITY"):
        Answerer({"other": Peer(ae_title="OTHER", host="a")}, 5).answer(answer({ONE: COMMITTED}))


def test_a_failure_without_a_reason_is_no_success() -> None:
    with pytest.raises(ValueError, match="need a non-zero failure reason"):
        CommitmentReport("1.7.1", frozenset({ONE}), {ONE.sop_instance_uid: 0})
