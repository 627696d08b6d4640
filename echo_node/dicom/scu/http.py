"""One request over HTTP and its whole answer, for DICOMweb (STOW-RS and QIDO-RS).

A request's address may hold patient data, as QIDO-RS wants it: it is in no message here, is never logged, and
goes nowhere else, since redirections are not followed.
"""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from typing import IO, Any

from echo_node.errors import TransientError

_MAY_PASS = frozenset({408, 425, 429})
_SERVER_ERROR = 500

_MOST_BYTES = 32 * 1024 * 1024
_CHUNK_BYTES = 65536


class _NoRedirection(urllib.request.HTTPRedirectHandler):
    """Leaves a redirection to be an answer like any other."""

    def redirect_request(self, *_args: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirection)


def exchange(
    request: urllib.request.Request, who: str, timeout_s: float, within_s: float | None = None
) -> tuple[int, bytes]:
    """Send a request; return the status code and the body of the answer.

    Args:
        request: to an address of http or https.
        who: answers, for messages.
        timeout_s: how long the connection may take, or be silent.
        within_s: how long all of it may take; as long as it likes if None.

    Raises:
        TransientError: no connection, no answer in time, or one that is too long.
    """
    ends_at = None if within_s is None else time.monotonic() + within_s
    try:
        with _OPENER.open(request, timeout=timeout_s) as answer:
            return answer.status, _body(answer, who, ends_at)
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, _body(refusal, who, ends_at)
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        name = type(reason).__name__
        raise TransientError(f"{who} cannot be reached: {name}") from error


def may_pass(code: int) -> bool:
    """Say whether a refusal may be none later (RFC 9110 15.5, 15.6)."""
    return code >= _SERVER_ERROR or code in _MAY_PASS


def _body(answer: IO[bytes], who: str, ends_at: float | None) -> bytes:
    """Read a body that may come in any number of pieces, at any pace."""
    pieces, size = [], 0
    while piece := answer.read1(_CHUNK_BYTES):  # type: ignore[attr-defined]
        pieces.append(piece)
        size += len(piece)
        if size > _MOST_BYTES:
            raise TransientError(f"{who} answers with more than {_MOST_BYTES // 2**20} MB")
        if ends_at is not None and time.monotonic() > ends_at:
            raise TransientError(f"{who} does not come to an end of its answer in time")
    return b"".join(pieces)
