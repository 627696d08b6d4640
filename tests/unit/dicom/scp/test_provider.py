from __future__ import annotations

import errno
import io
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from structlog.testing import capture_logs
from support.sinks import Sink

from echo_node.dicom.header import split
from echo_node.dicom.pynetdicom_adapter import Requestor
from echo_node.dicom.scp.provider import StorageProvider
from echo_node.domain.studies.intake import StoreOutcome
from echo_node.domain.studies.study import ReceivedInstance
from echo_node.errors import ConfigError, InstanceRejected, TransientError
from echo_node.settings import IntakeSettings, NodeSettings, Peer

CR = "1.2.840.10008.5.1.4.1.1.1"
CT = "1.2.840.10008.5.1.4.1.1.2"
VERIFICATION = "1.2.840.10008.1.1"
EXPLICIT = "1.2.840.10008.1.2.1"

MakeChest = Callable[..., Dataset]


@contextmanager
def provider(sink: Sink, peers: dict[str, Peer] | None = None, **intake: object) -> Iterator[int]:
    node = NodeSettings(bind_address="127.0.0.1", port=0)
    running = StorageProvider(node, IntakeSettings.model_validate(intake), peers or {}, sink)
    port = running.start()
    try:
        yield port
    finally:
        running.stop()


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture
def port(sink: Sink) -> Iterator[int]:
    with provider(sink) as bound:
        yield bound


@contextmanager
def association(
    port: int, sop_class: str = CR, *, called: str = "ECHO_NODE", calling: str = "MODALITY"
) -> Iterator[Association]:
    entity = Requestor(calling)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 10
    entity.add_requested_context(sop_class, EXPLICIT)
    if sop_class != VERIFICATION:
        entity.add_requested_context(VERIFICATION)
    association = entity.associate("127.0.0.1", port, ae_title=called)
    try:
        yield association
    finally:
        if association.is_established:
            association.release()


def c_store(association: Association, image: Dataset, *, instance_uid: str, sop_class: str = CR) -> Dataset:
    """Send a C-STORE whose command says what the test wants, whatever the data set says."""
    stream = io.BytesIO()
    del image.file_meta
    image.save_as(stream, implicit_vr=False, little_endian=True)
    request = C_STORE()
    request.MessageID = 1
    request.Priority = 2
    request.AffectedSOPClassUID = UID(sop_class)
    request.AffectedSOPInstanceUID = UID(instance_uid)
    request.DataSet = stream
    association._reactor_checkpoint.clear()
    while not association._is_paused:
        threading.Event().wait(0.001)
    association.dimse.send_msg(request, 1)
    _, response = association.dimse.get_msg(block=True)
    association._reactor_checkpoint.set()
    assert response is not None, "no response"
    answer = Dataset()
    answer.Status = response.Status
    answer.ErrorComment = response.ErrorComment
    return answer


def test_echo_and_store(port: int, sink: Sink, make_chest: MakeChest) -> None:
    with association(port) as peer:
        assert peer.send_c_echo().Status == 0x0000
        assert peer.send_c_store(make_chest()).Status == 0x0000
    (received,) = sink.received
    assert received.calling_ae_title == "MODALITY"
    assert received.identity.sop_instance_uid == "1.2.3.1"
    file = dcmread(io.BytesIO(sink.files[0]))
    assert file.PatientName == "Doe^Jane"
    assert file.file_meta.TransferSyntaxUID == EXPLICIT
    assert file.file_meta.MediaStorageSOPInstanceUID == "1.2.3.1"
    assert file.file_meta.SourceApplicationEntityTitle == "MODALITY"
    assert str(file.file_meta.ImplementationVersionName).startswith("ECHO_NODE")


def test_the_data_set_is_kept_byte_for_byte(port: int, sink: Sink, make_chest: MakeChest) -> None:
    image = make_chest()
    stream = io.BytesIO()
    image.save_as(stream, enforce_file_format=True)
    with association(port) as peer:
        peer.send_c_store(image)
    assert sink.data_sets[0] == split(stream.getvalue())[1]


@pytest.mark.parametrize(
    ("called", "calling", "accepted"),
    [("ECHO_NODE", "MODALITY", True), ("OTHER", "MODALITY", False), ("ECHO_NODE", "STRANGER", False)],
)
def test_ae_titles_are_checked(sink: Sink, called: str, calling: str, accepted: bool) -> None:
    with (
        provider(sink, allowed_calling_ae_titles=["MODALITY"]) as port,
        association(port, called=called, calling=calling) as peer,
    ):
        assert peer.is_established is accepted
        assert peer.is_rejected is not accepted


def test_the_called_ae_title_need_not_be_checked(sink: Sink) -> None:
    with provider(sink, require_called_ae_title=False) as port, association(port, called="ANY") as peer:
        assert peer.is_established


@pytest.mark.parametrize(
    ("host", "accepted"), [("localhost", True), ("127.0.0.1", True), ("192.0.2.7", False)]
)
def test_a_peer_with_a_host_must_call_from_it(sink: Sink, host: str, accepted: bool) -> None:
    peers = {"room 1": Peer(ae_title="MODALITY", host=host)}
    with provider(sink, peers) as port:
        with association(port) as peer:
            assert peer.is_established is accepted
            assert peer.is_rejected is not accepted
        with association(port, calling="ANOTHER") as peer:
            assert peer.is_established


def test_an_unknown_sop_class_is_refused_at_negotiation(port: int) -> None:
    with association(port, CT) as peer:
        assert [context.abstract_syntax for context in peer.rejected_contexts] == [CT]
        assert peer.send_c_echo().Status == 0x0000


def test_another_sop_class_than_negotiated_has_its_status(
    port: int, sink: Sink, make_chest: MakeChest
) -> None:
    with association(port) as peer:
        answer = c_store(peer, make_chest(SOPClassUID=CT), instance_uid="1.2.3.1", sop_class=CT)
        assert answer.Status == 0x0122
        assert peer.send_c_echo().Status == 0x0000
    assert sink.received == []


@pytest.mark.parametrize(
    ("attributes", "instance_uid", "status"),
    [
        ({"SOPInstanceUID": "../../x"}, "../../x", 0xC000),
        ({"SOPInstanceUID": "../../x"}, "1.2.3.1", 0xC000),
        ({"StudyInstanceUID": "../../../../tmp/x"}, "1.2.3.1", 0xC000),
        ({"SeriesInstanceUID": "1.2.3/../4"}, "1.2.3.1", 0xC000),
        ({"StudyInstanceUID": None}, "1.2.3.1", 0xC000),
        ({}, "1.2.3.99", 0xA900),
        ({"SOPClassUID": CT}, "1.2.3.1", 0xA900),
    ],
)
def test_bad_identities_are_refused_and_the_association_goes_on(
    port: int,
    sink: Sink,
    make_chest: MakeChest,
    attributes: dict[str, str | None],
    instance_uid: str,
    status: int,
) -> None:
    with association(port) as peer, capture_logs() as logs:
        answer = c_store(peer, make_chest(**attributes), instance_uid=instance_uid)
        assert answer.Status == status
        assert 0 < len(answer.ErrorComment) <= 64
        assert peer.send_c_store(make_chest()).Status == 0x0000
    assert len(sink.received) == 1
    (refusal,) = [log for log in logs if log["event"] == "instance_refused"]
    assert refusal["status"] == f"0x{status:04X}"
    assert ".." not in str(refusal)


def test_unusual_uids_are_taken_and_logged_once_for_each_sender(
    port: int, sink: Sink, make_chest: MakeChest
) -> None:
    odd = {"StudyInstanceUID": "1.2.03", "SeriesInstanceUID": "1.2." + "3" * 90}
    with capture_logs() as logs:
        for calling in ("ROOM_1", "ROOM_2", "ROOM_1"):
            with association(port, calling=calling) as peer:
                assert peer.send_c_store(make_chest()).Status == 0x0000
                assert peer.send_c_store(make_chest(SOPInstanceUID="1.2.3.01", **odd)).Status == 0x0000
    identity = sink.received[-1].identity
    assert identity.study_instance_uid == odd["StudyInstanceUID"]
    assert identity.series_instance_uid == odd["SeriesInstanceUID"]
    assert identity.sop_instance_uid == "1.2.3.01"
    assert [log["peer"] for log in logs if log["event"] == "unusual_uids_taken"] == ["ROOM_1", "ROOM_2"]
    reason = logs[0]["reason"]
    assert reason == (
        "StudyInstanceUID has a leading zero; SeriesInstanceUID is longer than 64 characters;"
        " SOPInstanceUID has a leading zero"
    )


def test_a_strict_peer_gets_a_status_for_unusual_uids(sink: Sink, make_chest: MakeChest) -> None:
    peers = {"room 1": Peer(ae_title="MODALITY", uid_check="strict")}
    with provider(sink, peers) as port, association(port) as peer:
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID"):
            answer = peer.send_c_store(make_chest(**{keyword: "1.2.03"}))
            assert (answer.Status, answer.ErrorComment) == (0xC000, f"{keyword} has a leading zero")
        answer = peer.send_c_store(make_chest(SOPInstanceUID="1.2.3.01"))
        assert answer.ErrorComment == "Affected SOP Instance UID has a leading zero"
        assert peer.send_c_store(make_chest()).Status == 0x0000
    assert len(sink.received) == 1


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (InstanceRejected(0xA700, "the disk is nearly full"), 0xA700),
        (InstanceRejected(0x0110, "busy"), 0x0110),
        (OSError(errno.ENOSPC, "No space left on device"), 0xA700),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), 0xA700),
        (OSError(errno.EIO, "Input/output error"), 0x0110),
        (TransientError("the database is locked"), 0x0110),
        (RuntimeError("Doe^Jane"), 0x0110),
    ],
)
def test_what_fails_inside_is_answered_with_a_status(
    port: int, sink: Sink, make_chest: MakeChest, failure: Exception, status: int
) -> None:
    sink.failure = failure
    with association(port) as peer, capture_logs() as logs:
        answer = peer.send_c_store(make_chest())
        assert answer.Status == status
        sink.failure = None
        assert peer.send_c_store(make_chest()).Status == 0x0000
    assert {log["event"] for log in logs} <= {"instance_refused", "store_failed"}
    assert "Doe" not in str(answer)


@pytest.mark.parametrize("outcome", StoreOutcome)
def test_whatever_is_kept_is_acknowledged(
    port: int, sink: Sink, make_chest: MakeChest, outcome: StoreOutcome
) -> None:
    sink.outcome = outcome
    with association(port) as peer:
        answer = peer.send_c_store(make_chest())
    assert answer.Status == 0x0000
    assert "ErrorComment" not in answer


def test_the_limit_of_associations_is_a_transient_refusal(sink: Sink) -> None:
    with (
        provider(sink, maximum_associations=2) as port,
        association(port),
        association(port),
        association(port) as third,
    ):
        assert third.is_rejected
        assert third.acceptor.primitive is not None
        assert third.acceptor.primitive.result == 0x02


def test_a_port_in_use_is_a_configuration_error(port: int, sink: Sink) -> None:
    node = NodeSettings(bind_address="127.0.0.1", port=port)
    with pytest.raises(ConfigError, match=rf"port {port}.*node\.port"):
        StorageProvider(node, IntakeSettings(), {}, sink).start()


def test_stopping_lets_the_store_in_hand_finish(sink: Sink, make_chest: MakeChest) -> None:
    begun, may_end = threading.Event(), threading.Event()

    class SlowSink(Sink):
        def store(self, received: ReceivedInstance, file_meta: bytes, data_set: bytes) -> StoreOutcome:
            begun.set()
            may_end.wait(10)
            return super().store(received, file_meta, data_set)

    slow = SlowSink()
    running = StorageProvider(NodeSettings(bind_address="127.0.0.1", port=0), IntakeSettings(), {}, slow)
    port = running.start()
    with association(port) as peer:
        sending = threading.Thread(target=peer.send_c_store, args=(make_chest(),))
        sending.start()
        assert begun.wait(10)
        stopping = threading.Thread(target=running.stop)
        stopping.start()
        with pytest.raises(OSError, match=r"refused|reset"):
            _connect_until_refused(port)
        may_end.set()
        stopping.join(20)
        sending.join(20)
    assert not stopping.is_alive()
    assert len(slow.received) == 1
    running.stop()  # a second time is harmless


def _connect_until_refused(port: int) -> None:
    for _ in range(200):
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        threading.Event().wait(0.02)


def test_associations_are_not_logged_by_the_libraries(
    port: int, make_chest: MakeChest, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with association(port) as peer:
        peer.send_c_store(make_chest())
    assert caplog.records == []
    assert "Jane" not in "".join(capfd.readouterr())


def test_events_are_bound_for_rejections(sink: Sink) -> None:
    with provider(sink) as port, capture_logs() as logs, association(port, called="WRONG") as peer:
        assert peer.is_rejected
        _wait_for(lambda: any(log["event"] == "association_rejected" for log in logs))
    assert [log["peer"] for log in logs if log["event"] == "association_rejected"] == ["MODALITY"]


def _wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(500):
        if condition():
            return
        threading.Event().wait(0.01)
    raise AssertionError("the condition did not come true in 5 s")
