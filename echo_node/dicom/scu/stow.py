"""Sender by STOW-RS (PS3.18 10.5), for a PACS that is reached over HTTP.

The stored bytes are the only part of a multipart request. The answer about our instance decides the
outcome of the delivery, as a DIMSE status would: its failure and warning reasons are such statuses.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from typing import Any

from echo_node.dicom.statuses import Status, outcome_of
from echo_node.domain.drafts.report import EncodedDocument
from echo_node.domain.ports import DeliveryOutcome
from echo_node.errors import PermanentError, TransientError
from echo_node.http_exchange import HttpAnswer, exchange, may_pass
from echo_node.settings import Peer

_FAILED, _STORED = "00081198", "00081199"
_SOP_INSTANCE_UID, _FAILURE_REASON, _WARNING_REASON = "00081155", "00081197", "00081196"
_HAS_AN_ANSWER = {200, 202, 409}


class StowSender:
    """Sends documents to peers that have a `stow_url`.

    Args:
        peers: peers by configured name.
        timeout_s: time limit for a connection and for an answer, in seconds.
    """

    def __init__(self, peers: Mapping[str, Peer], timeout_s: float) -> None:
        self._peers = peers
        self._timeout_s = timeout_s

    def send(self, document: EncodedDocument, destination: str) -> tuple[DeliveryOutcome, int]:
        """Send the stored bytes; return the outcome and the equivalent DIMSE status.

        Raises:
            TransientError: no connection, time-out, or a temporary refusal.
            PermanentError: a permanent refusal.
        """
        peer = self._peers[destination]
        boundary = secrets.token_hex(16)
        answer = exchange(
            "POST",
            f"{peer.stow_url.rstrip('/')}/studies",
            _headers(peer, boundary),
            _multipart(document.content, boundary),
            who=destination,
            timeout_s=self._timeout_s,
        )
        if answer.status in _HAS_AN_ANSWER:
            return _outcome(destination, answer, document.sop_instance_uid)
        message = f"{destination} answers STOW-RS with HTTP {answer.status}"
        if may_pass(answer.status):
            raise TransientError(message)
        raise PermanentError(f"{message}: check stow_url and stow_token of the peer")


def _multipart(content: bytes, boundary: str) -> bytes:
    """Return a DICOM object as the only part of a multipart body (PS3.18 8.6.1.2)."""
    head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n"
    return head.encode() + content + f"\r\n--{boundary}--\r\n".encode()


def _headers(peer: Peer, boundary: str) -> dict[str, str]:
    headers = {
        "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
        "Accept": "application/dicom+json",
    }
    if peer.stow_token:
        headers["Authorization"] = f"Bearer {peer.stow_token}"
    return headers


def _outcome(destination: str, http: HttpAnswer, uid: str) -> tuple[DeliveryOutcome, int]:
    """Return the outcome of our instance by the answer."""
    try:
        answer = json.loads(http.body) if http.body.strip() else {}
        failed, stored = _items(answer, _FAILED, uid), _items(answer, _STORED, uid)
    except (ValueError, TypeError, KeyError, AttributeError):
        raise TransientError(f"{destination} sent an unreadable answer to STOW-RS") from None
    if failed:
        reason = _reason(failed[0], _FAILURE_REASON) or Status.PROCESSING_FAILURE
        return outcome_of(reason, destination), reason
    if http.status == 200 or stored:
        warning = _reason(stored[0], _WARNING_REASON) if stored else 0
        return (DeliveryOutcome.WARNING, warning) if warning else (DeliveryOutcome.SUCCESS, Status.SUCCESS)
    raise TransientError(
        f"{destination} answers STOW-RS with HTTP {http.status} and does not mention our object"
    )


def _items(answer: Any, sequence: str, uid: str) -> list[Any]:
    """Return the items of a sequence (DICOM JSON model, PS3.18 F) that are about our instance."""
    answer = answer[0] if isinstance(answer, list) else answer
    items = answer.get(sequence, {}).get("Value", [])
    return [item for item in items if item.get(_SOP_INSTANCE_UID, {}).get("Value") == [uid]]


def _reason(item: Any, tag: str) -> int:
    values = item.get(tag, {}).get("Value", [])
    return int(values[0]) if values else 0
