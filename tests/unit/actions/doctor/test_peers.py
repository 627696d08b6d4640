"""Checks of peers: one that runs, one that refuses, one that is not there."""

from collections.abc import Iterator

import pytest
from support.mllp import ReportingSystem
from support.pacs import Pacs, unused_port

from echo_node.actions.doctor.check import Grade
from echo_node.actions.doctor.peers import check_delivery, check_forms, check_peer, check_priors
from echo_node.settings import DeliverySettings, Peer, PriorsSettings, Settings


@pytest.fixture
def pacs() -> Iterator[Pacs]:
    peer = Pacs()
    yield peer
    peer.stop()


def settings(peer: Peer, *, is_destination: bool = True, priors: str = "") -> Settings:
    return Settings(
        delivery=DeliverySettings(destinations=("peer",) if is_destination else (), timeout_s=5.0),
        priors=PriorsSettings(peer=priors),
        peers={"peer": peer},
    )


def test_a_destination_that_answers(pacs: Pacs) -> None:
    peer = Peer(ae_title="PACS", host=pacs.host, port=pacs.port)
    (check,) = check_peer(settings(peer), "peer")
    assert (check.name, check.grade, check.remedy) == ("peer peer", Grade.OK, "")
    assert check.message == f"PACS at {pacs.address} answers C-ECHO"


@pytest.mark.parametrize("title", ["OTHER", "PACS"])
def test_a_destination_that_refuses_or_is_not_there_fails(title: str, pacs: Pacs) -> None:
    with unused_port() as unused:
        port = pacs.port if title == "OTHER" else unused
        peer = Peer(ae_title=title, host=pacs.host, port=port)
        (check,) = check_peer(settings(peer), "peer")
        (of_a_modality,) = check_peer(settings(peer, is_destination=False), "peer")
    assert check.grade is Grade.FAILED
    assert check.remedy
    assert of_a_modality.grade is Grade.NOTE, "a modality seldom answers C-ECHO"


def test_a_reporting_system_is_reached_without_a_message() -> None:
    with ReportingSystem() as system:
        url = f"mllp://127.0.0.1:{system.port}"
        given = settings(Peer(ae_title="RIS", mllp_url=url))
        (check,) = check_peer(given, "peer")
        assert check.grade is Grade.OK
        assert system.received == []
        forms = check_forms(given)
        assert (forms.grade, forms.message) == (Grade.OK, "oru-r01")
    (check,) = check_peer(given, "peer")
    assert check.grade is Grade.FAILED
    assert check.remedy


def test_the_archive_of_priors_must_answer_queries(pacs: Pacs) -> None:
    peer = Peer(ae_title="PACS", host=pacs.host, port=pacs.port)
    given = settings(peer, is_destination=False, priors="peer")
    (check,) = check_priors(given)
    assert check.grade is Grade.FAILED
    assert "Study Root" in check.message
    assert check.remedy
    pacs.answers_questions()
    (check,) = check_priors(given)
    assert (check.grade, check.message) == (Grade.OK, "PACS answers C-FIND")


def test_without_a_destination_drafts_stay_in_the_outbox() -> None:
    delivery, forms = check_delivery(Settings())
    assert (delivery.name, delivery.grade) == ("delivery", Grade.NOTE)
    assert (forms.name, forms.grade) == ("documents", Grade.OK)
    assert list(check_priors(Settings())) == []
