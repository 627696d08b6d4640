"""Forms that are made, the protocol of each destination, and combinations that cannot be."""

import pytest
from pydantic import ValidationError

from echo_node.dicom.scu.destinations import Destinations
from echo_node.errors import ConfigError
from echo_node.hl7.mllp import MllpSender
from echo_node.settings import DeliverySettings, DocumentKind, Peer, Settings
from echo_node.wiring.destinations import encoder, encoders, senders

PACS = Peer(ae_title="PACS", host="10.0.0.5")
VIEWER = Peer(ae_title="VIEWER", stow_url="https://viewer", kinds=("comprehensive-3d-sr", "basic-text-sr"))
RIS = Peer(ae_title="RIS", mllp_url="mllp://10.0.0.6:2575")


def settings(**peers: Peer) -> Settings:
    return Settings(delivery=DeliverySettings(destinations=tuple(peers)), peers=peers)


def test_without_a_destination_one_form_is_made_for_the_outbox() -> None:
    assert settings().documents == (DocumentKind.BASIC_TEXT_SR,)
    assert settings().documents_by_destination == {}


def test_just_the_forms_that_somebody_gets_are_made() -> None:
    given = settings(pacs=PACS, viewer=VIEWER, ris=RIS)
    assert given.documents_by_destination == {
        "pacs": ("basic-text-sr",),
        "viewer": ("comprehensive-3d-sr", "basic-text-sr"),
        "ris": ("oru-r01",),
    }
    assert [each.kind for each in encoders(given)] == ["basic-text-sr", "comprehensive-3d-sr", "oru-r01"]
    assert [each.kind for each in encoders(settings(ris=RIS))] == ["oru-r01"]


def test_a_peer_that_is_no_destination_makes_no_form() -> None:
    given = Settings(delivery=DeliverySettings(destinations=("pacs",)), peers={"pacs": PACS, "v": VIEWER})
    assert given.documents == (DocumentKind.BASIC_TEXT_SR,)


@pytest.mark.parametrize("kind", list(DocumentKind))
def test_there_is_an_encoder_for_each_kind(kind: DocumentKind) -> None:
    assert encoder(kind, Settings()).kind == kind


def test_each_destination_has_its_way() -> None:
    ways = senders(settings(pacs=PACS, viewer=VIEWER, ris=RIS))
    assert isinstance(ways["ris"], MllpSender)
    assert isinstance(ways["pacs"], Destinations)
    assert ways["viewer"] is ways["pacs"]


@pytest.mark.parametrize(
    ("peer", "message"),
    [
        (Peer(ae_title="X"), "needs a host, a stow_url or an mllp_url"),
        (Peer(ae_title="X", host="x", kinds=("oru-r01",)), "needs an mllp_url"),
        (Peer(ae_title="X", mllp_url="mllp://x:1", kinds=("basic-text-sr",)), "receives 'oru-r01' only"),
        (Peer(ae_title="X", mllp_url="mllp://x:1", kinds=("oru-r01", "basic-text-sr")), "'oru-r01' only"),
        (
            Peer(ae_title="X", host="x", mllp_url="mllp://x:1", storage_commitment=True),
            "must not have an mllp_url",
        ),
    ],
)
def test_what_a_destination_could_not_be_sent_is_refused(peer: Peer, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        settings(x=peer)


@pytest.mark.parametrize(
    "url", ["ris:2575", "mllp://ris", "http://ris:1", "mllp://ris:99999", "mllp://ris:1/x"]
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValidationError, match="mllp://host:port"):
        Peer(ae_title="RIS", mllp_url=url)


def test_an_unknown_kind_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ValidationError, match=r"'basic-text-sr'.*'oru-r01'"):
        Peer(ae_title="X", kinds=("word",))
