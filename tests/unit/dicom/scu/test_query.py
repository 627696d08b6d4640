"""Requests to an archive and the meaning of its answers, with scripted services."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pynetdicom import AE, evt

from echo_node.dicom.library_settings import configure_libraries
from echo_node.dicom.scu.query import (
    IMAGE,
    MOST_ANSWERS,
    SERIES,
    STUDY,
    Deadline,
    FindArchive,
    QidoArchive,
    QueryableArchive,
    identifier,
    probe,
)
from echo_node.errors import EchoNodeError, PermanentError, TransientError
from echo_node.settings import Peer

PATIENT = "4711-NOBODY"
QUESTION = identifier(STUDY, PatientID=PATIENT, StudyInstanceUID="")


class Service:
    """A DICOMweb service that answers with `code` and `body`, and keeps what it was asked."""

    def __init__(self) -> None:
        self.code, self.body, self.location = 200, b"[]", ""
        self.paths, self.headers = list[str](), dict[str, str]()
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                service.paths.append(self.path)
                service.headers = dict(self.headers)
                self.send_response(service.code)
                if service.location:
                    self.send_header("Location", service.location)
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

    def ask(self, question: Dataset, token: str = "") -> list[Dataset]:
        with QidoArchive(self.url, token, "ARCHIVE").opened(Deadline(30)) as ask:
            return list(ask(question))


@pytest.fixture
def service() -> Iterator[Service]:
    running = Service()
    yield running
    running.server.shutdown()
    running.server.server_close()


class TestQido:
    def test_a_question_is_an_address(self, service: Service) -> None:
        service.ask(
            identifier(STUDY, PatientID="4/7", StudyDate="20250101-20260101", StudyInstanceUID=""), "t0"
        )
        target = urlsplit(service.paths[-1])
        assert target.path == "/dicom-web/studies"
        assert parse_qsl(target.query) == [
            ("StudyDate", "20250101-20260101"), ("PatientID", "4/7"), ("includefield", "0020000D"),
        ]  # fmt: skip
        assert service.headers["Accept"] == "application/dicom+json"
        assert service.headers["Authorization"] == "Bearer t0"
        service.ask(identifier(SERIES, StudyInstanceUID="1.2", Modality=""))
        assert service.paths[-1] == "/dicom-web/studies/1.2/series?includefield=00080060"
        service.ask(identifier(IMAGE, StudyInstanceUID="1.2", SeriesInstanceUID="1.3", ViewPosition=""))
        assert service.paths[-1] == "/dicom-web/studies/1.2/series/1.3/instances?includefield=00185101"
        assert "Authorization" not in service.headers

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1).map(str.strip))
    def test_any_identifier_arrives_as_it_is(self, service: Service, patient: str) -> None:
        service.ask(identifier(STUDY, PatientID=patient.replace("\\", "")))
        query = dict(parse_qsl(urlsplit(service.paths[-1]).query, keep_blank_values=True))
        assert query.get("PatientID", "") == patient.replace("\\", "").strip(" ")

    def test_an_answer_is_read_with_its_names(self, service: Service) -> None:
        name = {"vr": "PN", "Value": [{"Alphabetic": "Wang^XiaoDong", "Ideographic": "王^小东"}]}
        service.body = json.dumps([{"00100010": name, "00100020": {"vr": "LO", "Value": ["7"]}}]).encode()
        (answer,) = service.ask(QUESTION)
        assert (str(answer.PatientName), answer.PatientID) == ("Wang^XiaoDong=王^小东", "7")

    @pytest.mark.parametrize(("code", "body"), [(204, b""), (200, b""), (200, b"[]")])
    def test_nothing_is_an_answer(self, service: Service, code: int, body: bytes) -> None:
        service.code, service.body = code, body
        assert service.ask(QUESTION) == []

    @pytest.mark.parametrize(
        ("code", "body", "kind"),
        [
            (500, b"", TransientError),
            (429, b"", TransientError),
            (400, PATIENT.encode(), PermanentError),
            (401, b"", PermanentError),
            (302, b"", PermanentError),
            (200, b"<html>", TransientError),
            (200, b"[[[" * 5000, TransientError),
            (200, b'{"a": 1}', TransientError),
            (200, b'[{"0020000D": {"vr": "SQ", "Value": 3}}]', TransientError),
            (200, json.dumps([{}] * (MOST_ANSWERS + 1)).encode(), TransientError),
        ],
    )
    def test_what_is_no_answer_is_an_error_that_names_nobody(
        self, service: Service, code: int, body: bytes, kind: type[EchoNodeError]
    ) -> None:
        service.code, service.body = code, body
        service.location = service.url if code == 302 else ""
        with pytest.raises(kind, match=r"^ARCHIVE ") as told:
            service.ask(QUESTION)
        assert PATIENT not in f"{told.value!r}{told.value.__cause__!r}"
        assert len(service.paths) == 1  # a redirection is not followed: the address names the patient

    def test_a_level_is_asked_for_by_uids_only(self, service: Service) -> None:
        with pytest.raises(ValueError, match="StudyInstanceUID has characters besides digits and dots"):
            service.ask(identifier(SERIES, StudyInstanceUID="1.2/../3"))
        assert service.paths == []


class Pacs:
    """A peer that answers C-FIND as told."""

    def __init__(self, answers: list[tuple[int, Dataset | None]]) -> None:
        entity = AE("PACS")
        entity.add_supported_context("1.2.840.10008.5.1.4.1.2.2.1")
        handlers: list[evt.EventHandlerType] = [(evt.EVT_C_FIND, lambda _event: iter(answers))]
        server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        assert server is not None
        self.server = server
        peer = Peer(ae_title="PACS", host="127.0.0.1", port=self.server.server_address[1])
        self.archive = FindArchive(peer, "ECHO_NODE")

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def _ask(archive: QueryableArchive) -> list[Dataset]:
    with archive.opened(Deadline(30)) as ask:
        return list(ask(QUESTION))


def _study(patient: str = PATIENT) -> Dataset:
    answer = Dataset()
    answer.QueryRetrieveLevel, answer.PatientID = "STUDY", patient
    return answer


class TestFind:
    @pytest.fixture(autouse=True)
    def _quiet(self) -> None:
        configure_libraries()

    @pytest.mark.parametrize(
        ("answers", "count"),
        [
            ([(0x0000, None)], 0),
            ([(0xFF00, _study()), (0xFF01, _study()), (0x0000, None)], 2),
        ],
    )
    def test_answers_are_collected_to_the_last(
        self, answers: list[tuple[int, Dataset | None]], count: int
    ) -> None:
        pacs = Pacs(answers)
        try:
            assert [each.PatientID for each in _ask(pacs.archive)] == [PATIENT] * count
            probe(pacs.archive, 30)
        finally:
            pacs.close()

    @pytest.mark.parametrize(
        ("answers", "kind"),
        [
            ([(0xA700, None)], TransientError),
            ([(0xFE00, None)], TransientError),
            ([(0xFF00, _study()), (0xA900, None)], PermanentError),
            ([(0xC001, None)], PermanentError),
            ([(0xFF00, _study())] * (MOST_ANSWERS + 1), TransientError),
        ],
    )
    def test_what_is_no_answer_is_an_error_that_names_nobody(
        self, answers: list[tuple[int, Dataset | None]], kind: type[EchoNodeError]
    ) -> None:
        pacs = Pacs(answers)
        try:
            with pytest.raises(kind, match=r"^PACS@") as told:
                _ask(pacs.archive)
            assert PATIENT not in str(told.value)
        finally:
            pacs.close()

    def test_a_peer_that_takes_no_questions_is_told(self) -> None:
        entity = AE("PACS")
        entity.add_supported_context("1.2.840.10008.1.1")
        server = entity.start_server(("127.0.0.1", 0), block=False)
        assert server is not None
        peer = Peer(ae_title="PACS", host="127.0.0.1", port=server.server_address[1])
        try:
            with pytest.raises(
                PermanentError, match="accepts none of the proposed presentation contexts: Study Root"
            ):
                probe(FindArchive(peer, "ECHO_NODE"), 30)
        finally:
            server.shutdown()
            server.server_close()


def test_a_deadline_that_is_over_is_an_error() -> None:
    assert 0 < Deadline(60).left() <= 60
    with pytest.raises(TransientError, match=r"priors\.time_limit_s"):
        Deadline(0).left()


def test_an_identifier_says_its_character_set_where_it_matters() -> None:
    assert "SpecificCharacterSet" not in QUESTION
    assert identifier(STUDY, PatientID="Ä").SpecificCharacterSet == "ISO_IR 192"
