"""Admission of associations by protocol, AE titles, address and number (PS3.8 9.3.4).

Each refusal has a text of its own, for the log. No text repeats what the peer sent.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Iterable
from dataclasses import dataclass

from echo_node.dicom.scp.association_answer import DICOM_APPLICATION_CONTEXT
from echo_node.dicom.scp.association_request import AssociationRequest
from echo_node.settings import IntakeSettings, Peer

_VERSION_1 = 0x0001
_PERMANENT, _TRANSIENT = 1, 2
_BY_USER, _BY_ACSE, _BY_PRESENTATION = 1, 2, 3


@dataclass(frozen=True, slots=True)
class Refusal:
    """Refusal of an association.

    Attributes:
        result: permanent or transient (PS3.8 table 9-21).
        source: who refuses.
        diagnostic: reason by its number.
        reason: reason for the log.
    """

    result: int
    source: int
    diagnostic: int
    reason: str


class Admission:
    """Decides about requests, and counts the associations that it let in.

    Args:
        ae_title: AE title of the node.
        intake: allowed senders and limits.
        peers: known application entities; one with a host may only call from it.
    """

    def __init__(self, ae_title: str, intake: IntakeSettings, peers: Iterable[Peer]) -> None:
        self._ae_title = ae_title
        self._intake = intake
        self._peers = tuple(peers)
        self._most = -(-intake.maximum_associations // intake.processes)
        self._entered = 0
        self._lock = threading.Lock()

    def refusal(self, request: AssociationRequest, address: str) -> Refusal | None:
        """Return the refusal of a request; None if it is acceptable.

        The number of associations is checked by `enter`.
        """
        if not request.protocol_version & _VERSION_1:
            return Refusal(_PERMANENT, _BY_ACSE, 2, "the peer does not support protocol version 1")
        if request.application_context != DICOM_APPLICATION_CONTEXT:
            return Refusal(_PERMANENT, _BY_USER, 2, "the application context name is not that of DICOM")
        if reason := self._fault_of_called(request.called_ae_title):
            return Refusal(_PERMANENT, _BY_USER, 7, reason)
        if reason := self._fault_of_calling(request.calling_ae_title, address):
            return Refusal(_PERMANENT, _BY_USER, 3, reason)
        return None

    def enter(self) -> Refusal | None:
        """Count an association in; return a refusal instead if there are too many."""
        with self._lock:
            if self._entered >= self._most:
                return Refusal(
                    _TRANSIENT,
                    _BY_PRESENTATION,
                    2,
                    "as many associations are open as intake.maximum_associations allows",
                )
            self._entered += 1
            return None

    def leave(self) -> None:
        """Count an association out."""
        with self._lock:
            self._entered -= 1

    def _fault_of_called(self, title: str) -> str:
        if title and not _is_ae_title(title):
            return "the called AE title contains characters that no AE title has"
        if not self._intake.require_called_ae_title or title == self._ae_title:
            return ""
        return f"the called AE title is not {self._ae_title}{_hint(title, [self._ae_title])}"

    def _fault_of_calling(self, title: str, address: str) -> str:
        allowed = self._intake.allowed_calling_ae_titles
        if not title and not self._intake.accept_blank_calling_ae_title:
            return "the calling AE title is blank (intake.accept_blank_calling_ae_title)"
        if title and not _is_ae_title(title):
            return "the calling AE title contains characters that no AE title has"
        if allowed and title not in allowed:
            return f"the calling AE title is not in intake.allowed_calling_ae_titles{_hint(title, allowed)}"
        hosts = [peer.host for peer in self._peers if peer.ae_title == title and peer.host]
        if hosts and not any(_is_address_of(host, address) for host in hosts):
            return "the peer with this calling AE title has another address"
        return ""


def _is_ae_title(title: str) -> bool:
    return title.isascii() and title.isprintable() and "\\" not in title


def _hint(title: str, known: Iterable[str]) -> str:
    is_case = title.casefold() in {each.casefold() for each in known}
    return ": it differs in upper and lower case" if is_case else ""


def _is_address_of(host: str, address: str) -> bool:
    """Return whether *address* is one of the current addresses of *host*."""
    try:
        known = {str(entry[4][0]) for entry in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    return plain_address(address) in set(map(plain_address, known))


def plain_address(address: str) -> str:
    """Return an IP address in its usual form: without a zone, and as IPv4 if it is mapped."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return str(mapped or parsed)
