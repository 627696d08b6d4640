"""Priors in a real archive, Orthanc, by C-FIND and QIDO-RS, and in dead or slow archives."""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from integration.orthanc import DICOMWEB, PROGRAM, Orthanc
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from support import archive

from echo_node.dicom.library_settings import configure_libraries
from echo_node.dicom.priors import ArchivePriors, prior_finder
from echo_node.domain.drafts.comparison import Comparison, PriorStudy
from echo_node.errors import PermanentError, TransientError
from echo_node.settings import Peer, PriorsSettings

pytestmark = [
    pytest.mark.external,
    pytest.mark.skipif(PROGRAM is None or not DICOMWEB.exists(), reason="no Orthanc: make tools"),
]

WAYS = ("C-FIND", "QIDO-RS")
_NUMBERS = itertools.count(1000)


@pytest.fixture(scope="module")
def pacs() -> Iterator[Orthanc]:
    with Orthanc(dicomweb=True, encoding="Utf8") as running:
        yield running


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def finder(pacs: Orthanc, way: str) -> ArchivePriors:
    return _finder(pacs, way)


@pytest.fixture
def patient() -> str:
    """An identifier that no other test has."""
    return f"P{next(_NUMBERS)}"


def _finder(pacs: Orthanc, way: str, **settings: Any) -> ArchivePriors:
    where = {"peer": "pacs"} if way == "C-FIND" else {"qido_url": pacs.dicomweb_url}
    found = prior_finder(
        PriorsSettings(**{"time_limit_s": 30.0, **where, **settings}), {"pacs": pacs.peer}, "ECHO_NODE"
    )
    assert found is not None
    return found


def _keep(pacs: Orthanc, *images: Dataset) -> str:
    """Store the images; return the first one's study."""
    for image in images:
        pacs.store(archive.file(image))
    return str(images[0].StudyInstanceUID)


def test_the_newest_earlier_chest_radiograph_is_found_with_its_view(
    pacs: Orthanc, finder: ArchivePriors, patient: str
) -> None:
    def image(**attributes: object) -> Dataset:
        return archive.image(PatientID=patient, **attributes)

    _keep(pacs, image(StudyDate="20240101"), image(StudyDate="20260305", BodyPartExamined="HAND"))
    newest = _keep(pacs, image(StudyDate="20260304", ViewPosition="AP"))
    found = finder.find(archive.subject(PatientID=patient), archive.OURS)
    assert found.prior == PriorStudy(newest, "20260304", ("AP",))
    assert (found.obstacle, found.undescribed, found.left_out) == ("", 0, ())


def test_a_study_of_several_series_names_its_frontal_views(
    pacs: Orthanc, finder: ArchivePriors, patient: str
) -> None:
    first = archive.image(PatientID=patient, ViewPosition="LL", PatientOrientation=["P", "F"])
    study = {"PatientID": patient, "StudyInstanceUID": first.StudyInstanceUID}
    described = {"ViewPosition": None, "PatientOrientation": None, "SeriesDescription": "Thorax p.a."}
    _keep(pacs, first, archive.image(**study, Modality="DX", **described))
    found = finder.find(archive.subject(PatientID=patient), archive.OURS)
    assert found.prior == PriorStudy(str(first.StudyInstanceUID), "20260304", ("PA",))


def test_nothing_is_found_where_nothing_is(finder: ArchivePriors, patient: str) -> None:
    found = finder.find(archive.subject(PatientID=patient), archive.OURS)
    assert found == Comparison(finder.archive, 10)


@pytest.mark.parametrize(
    "not_a_prior",
    [
        {"StudyInstanceUID": archive.OURS},
        {"StudyInstanceUID": archive.OURS, "StudyDate": "20260101"},
        {"StudyDate": "20260602"},
        {"StudyDate": "20260601", "StudyTime": "120000"},
        {"StudyDate": "20260601", "StudyTime": "120001"},
        {"StudyDate": "20260601", "StudyTime": None},
        {"StudyDate": ""},
        {"StudyDate": "20160531"},
        {"BodyPartExamined": "KNEE"},
        {"Modality": "CT"},
    ],
    ids=lambda each: " ".join(f"{key}={value}" for key, value in each.items()),
)
def test_what_is_no_prior_is_not_named(
    pacs: Orthanc, finder: ArchivePriors, patient: str, not_a_prior: dict[str, object]
) -> None:
    _keep(pacs, archive.image(PatientID=patient, **not_a_prior))
    found = finder.find(archive.subject(PatientID=patient), archive.OURS)
    assert found == Comparison(finder.archive, 10)
    _keep(pacs, archive.image(PatientID=patient, StudyDate="20160601"))
    back = finder.find(archive.subject(PatientID=patient), archive.OURS)
    assert back.prior is not None


def test_a_study_of_the_same_morning_is_a_prior(pacs: Orthanc, finder: ArchivePriors, patient: str) -> None:
    study = _keep(pacs, archive.image(PatientID=patient, StudyDate="20260601", StudyTime="0605"))
    found = finder.find(archive.subject(PatientID=patient), archive.OURS)
    assert found.prior == PriorStudy(study, "20260601", ("PA",))


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({"PatientBirthDate": "19600301"}, "the patient's birth date differs"),
        ({"PatientBirthDate": ""}, "the archive does not state the patient's birth date"),
        ({"IssuerOfPatientID": "CLINIC"}, "the issuer of the patient ID differs"),
        ({"PatientSex": "M"}, "the patient's sex differs"),
        ({"PatientName": "Roe^Jane"}, "the patient's name differs"),
    ],
)
def test_another_patient_under_the_same_identifier_is_never_named(
    pacs: Orthanc, finder: ArchivePriors, patient: str, other: dict[str, object], reason: str
) -> None:
    _keep(pacs, archive.image(PatientID=patient, **other))
    found = finder.find(archive.subject(PatientID=patient), archive.OURS)
    assert found == Comparison(finder.archive, 10, left_out=(reason,))


def test_an_identifier_is_not_a_part_of_another(pacs: Orthanc, finder: ArchivePriors, patient: str) -> None:
    _keep(pacs, archive.image(PatientID=f"{patient}1"), archive.image(PatientID=f"1{patient}"))
    _keep(pacs, archive.image(PatientID=f"{patient}a"))
    assert finder.find(archive.subject(PatientID=patient), archive.OURS).prior is None
    assert finder.find(archive.subject(PatientID=f"{patient}A"), archive.OURS).prior is None


def test_an_issuer_that_one_side_leaves_out_is_no_difference(
    pacs: Orthanc, finder: ArchivePriors, patient: str
) -> None:
    study = _keep(pacs, archive.image(PatientID=patient, IssuerOfPatientID=None))
    found = finder.find(archive.subject(PatientID=patient), archive.OURS)
    assert found.prior is not None
    assert found.prior.study_instance_uid == study


@pytest.mark.parametrize("charset", ["GB18030", "ISO_IR 192"])
@pytest.mark.parametrize("name", ["Wang^XiaoDong=王^小东", "王^小东"])
def test_a_chinese_name_is_the_same_in_any_character_set(
    pacs: Orthanc, finder: ArchivePriors, patient: str, charset: str, name: str
) -> None:
    study = _keep(pacs, archive.image(PatientID=patient, PatientName=name, SpecificCharacterSet=charset))
    subject = archive.subject(PatientID=patient, PatientName=name)
    found = finder.find(subject, archive.OURS)
    assert found.prior is not None, found
    assert found.prior.study_instance_uid == study
    another = finder.find(replace(subject, patient_name="李^小东"), archive.OURS)
    assert (another.prior, another.left_out) == (None, ("the patient's name differs",))


ODD = ["/7:1@x", "a&b=c", "1+1/2#3", "50%", "Ä-7", " 12 34 ", "a,b", '"<>']


# Orthanc 1.10's QIDO-RS does not decode what an address must encode. The service of
# tests/unit/dicom/scu/test_query.py does.
@pytest.mark.parametrize(("way", "identifier"), [*((WAYS[0], each) for each in ODD), (WAYS[1], ODD[0])])
def test_any_identifier_survives_the_way(pacs: Orthanc, way: str, patient: str, identifier: str) -> None:
    identifier, finder = f"{patient}{identifier}", _finder(pacs, way)
    study = _keep(pacs, archive.image(PatientID=identifier))
    found = finder.find(archive.subject(PatientID=identifier), archive.OURS)
    assert found.prior is not None, found
    assert found.prior.study_instance_uid == study


def test_radiographs_of_an_unknown_part_are_counted_and_not_called_chests(
    pacs: Orthanc, finder: ArchivePriors, patient: str
) -> None:
    _keep(pacs, archive.image(PatientID=patient, BodyPartExamined=None))
    _keep(pacs, archive.image(PatientID=patient, BodyPartExamined=None, StudyDate="20250101"))
    found = finder.find(archive.subject(PatientID=patient), archive.OURS)
    assert (found.prior, found.undescribed) == (None, 2)
    _keep(pacs, archive.image(PatientID=patient, BodyPartExamined="THORAX", StudyDate="20250601"))
    found = finder.find(archive.subject(PatientID=patient), archive.OURS)
    assert found.prior is not None
    assert found.undescribed == 1


def test_a_probe_tells_who_answers(pacs: Orthanc, finder: ArchivePriors, way: str) -> None:
    finder.probe()
    if way == "C-FIND":
        stranger = prior_finder(PriorsSettings(peer="pacs"), {"pacs": pacs.peer}, "STRANGER")
    else:
        stranger = _finder(pacs, way, qido_url=pacs.dicomweb_url.replace("dicom-web", "nothing"))
    assert stranger is not None
    with pytest.raises((TransientError, PermanentError)):
        stranger.probe()


class SlowQido:
    """A DICOMweb service that answers once it is released; *begins* sends a beginning first."""

    def __init__(self, *, begins: bool) -> None:
        self.let = threading.Event()
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Length", "2")
                if begins:
                    self.end_headers()
                    self.wfile.write(b"[")
                service.let.wait(60)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.let.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.mark.parametrize("begins", [False, True])
def test_a_slow_web_service_is_given_up(begins: bool) -> None:
    service = SlowQido(begins=begins)
    try:
        finder = prior_finder(PriorsSettings(qido_url=service.url, time_limit_s=0.3), {}, "ECHO_NODE")
        assert finder is not None
        with pytest.raises(TransientError):
            finder.find(archive.subject(), archive.OURS)
    finally:
        service.close()


@pytest.mark.parametrize("answers", [0, 1])
def test_a_slow_archive_is_given_up(answers: int) -> None:
    configure_libraries()
    let = threading.Event()

    def find(event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        for _ in range(answers):
            yield 0xFF00, event.identifier
        let.wait(60)
        yield 0x0000, None

    entity = AE("PACS")
    entity.add_supported_context("1.2.840.10008.5.1.4.1.2.2.1")
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_FIND, find)])
    assert server is not None
    peer = Peer(ae_title="PACS", host="127.0.0.1", port=server.server_address[1])
    try:
        finder = prior_finder(PriorsSettings(peer="pacs", time_limit_s=0.5), {"pacs": peer}, "ECHO_NODE")
        assert finder is not None
        with pytest.raises(TransientError):
            finder.find(archive.subject(), archive.OURS)
        assert not [each for each in threading.enumerate() if each.name.startswith("RequestorThread")]
    finally:
        let.set()
        server.shutdown()
        server.server_close()


def test_a_dead_archive_is_told(way: str) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # nobody listens
        port = held.getsockname()[1]
        where = {"peer": "pacs"} if way == "C-FIND" else {"qido_url": f"http://127.0.0.1:{port}"}
        peers = {"pacs": Peer(ae_title="PACS", host="127.0.0.1", port=port)}
        finder = prior_finder(PriorsSettings(**where), peers, "ECHO_NODE")
        assert finder is not None
        with pytest.raises(TransientError, match="cannot be reached"):
            finder.find(archive.subject(), archive.OURS)
