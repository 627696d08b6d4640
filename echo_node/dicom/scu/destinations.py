"""Sender to DICOM destinations: by STOW-RS if the peer has a `stow_url`, or else by C-STORE."""

from __future__ import annotations

from collections.abc import Mapping

from echo_node.dicom.scu.c_store import Sender
from echo_node.dicom.scu.stow import StowSender
from echo_node.domain.drafts.report import EncodedDocument
from echo_node.domain.ports import DeliveryOutcome
from echo_node.settings import Peer


class Destinations:
    """Implements the DocumentSender port.

    Args:
        calling_ae_title: our AE title in C-STORE.
        peers: peers by configured name.
        timeout_s: time limit for an answer, in seconds.
    """

    def __init__(self, calling_ae_title: str, peers: Mapping[str, Peer], timeout_s: float) -> None:
        self._peers = peers
        self._dimse = Sender(calling_ae_title, peers, timeout_s)
        self._stow = StowSender(peers, timeout_s)

    def send(self, document: EncodedDocument, destination: str) -> tuple[DeliveryOutcome, int]:
        """Send the stored bytes; see the port."""
        peer = self._peers.get(destination)
        by_http = peer is not None and peer.stow_url
        return (self._stow if by_http else self._dimse).send(document, destination)
