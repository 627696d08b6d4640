"""One HTTP request and its whole answer, in bounded time and memory.

The address of a request may contain patient data, as QIDO-RS requires it. Therefore no message
here repeats an address, none is logged, and redirections are not followed. TLS uses the
certificates of the system. Proxies are those of http_proxy, https_proxy and no_proxy in the
environment; a SOCKS proxy for other programs (all_proxy) is ignored.
"""

from __future__ import annotations

import logging
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

from echo_node.errors import TransientError

_MAY_PASS = frozenset({408, 425, 429})
_SERVER_ERROR = 500
_MOST_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """Answer to a request.

    Attributes:
        status: status code.
        body: whole body, as it was sent.
        retry_after: value of the Retry-After header; empty without one.
    """

    status: int
    body: bytes = field(repr=False)
    retry_after: str = ""


def exchange(
    method: str,
    url: str,
    headers: Mapping[str, str],
    content: bytes = b"",
    *,
    who: str,
    timeout_s: float,
    within_s: float | None = None,
) -> HttpAnswer:
    """Send a request and return its answer, whatever its status code.

    Args:
        method: GET or POST.
        url: address of http or https.
        headers: headers of the request.
        content: body of the request.
        who: name of the server, for messages.
        timeout_s: longest time for the connection, and longest silence of the server, in seconds.
        within_s: longest time for the whole answer, in seconds; None sets no limit.

    Raises:
        TransientError: no connection, no answer in time, or a body of more than 32 MB.
    """
    ends_at = None if within_s is None else time.monotonic() + within_s
    plain = {"Accept-Encoding": "identity", **headers}
    encoded = [(name.encode(), value.strip().encode("latin-1")) for name, value in plain.items()]
    try:
        client = _client(_proxy_for(url))
        with client.stream(method, url, headers=encoded, content=content, timeout=timeout_s) as answer:
            body = _body(answer, who, ends_at)
            return HttpAnswer(answer.status_code, body, answer.headers.get("Retry-After", ""))
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise TransientError(f"{who} cannot be reached: {_reason(error)}") from error


def may_pass(status: int) -> bool:
    """Return whether a refusal may be temporary (RFC 9110 15.5, 15.6)."""
    return status >= _SERVER_ERROR or status in _MAY_PASS


def _proxy_for(url: str) -> str | None:
    """Return the URL of the proxy that the environment names for an address; None without one.

    Raises:
        httpx.ProxyError: it is not an HTTP proxy.
    """
    address = urlsplit(url)
    proxy = getproxies().get(address.scheme)
    if not proxy or proxy_bypass(address.netloc):
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    if not proxy.lower().startswith(("http://", "https://")):
        raise httpx.ProxyError("the proxy is not an HTTP proxy")
    return proxy


@cache
def _client(proxy: str | None) -> httpx.Client:
    """Return this process's client for a proxy; each request has its own connection."""
    for library in ("httpx", "httpcore"):
        logging.getLogger(library).setLevel(logging.CRITICAL)  # they log addresses
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    return httpx.Client(
        verify=ssl.create_default_context(),
        proxy=proxy,
        trust_env=False,
        follow_redirects=False,
        limits=limits,
    )


def _body(answer: httpx.Response, who: str, ends_at: float | None) -> bytes:
    """Read a body that may arrive in any number of pieces, at any pace."""
    pieces, size = [], 0
    for piece in answer.iter_raw():
        pieces.append(piece)
        size += len(piece)
        if size > _MOST_BYTES:
            raise TransientError(f"{who} answers with more than {_MOST_BYTES // 2**20} MB")
        if ends_at is not None and time.monotonic() > ends_at:
            raise TransientError(f"{who} does not finish its answer in time")
    return b"".join(pieces)


def _reason(error: BaseException) -> str:
    """Return the name of the innermost error: the system's, if the libraries have wrapped it."""
    wrapped = error.__cause__ or next(iter(error.args), None)
    return _reason(wrapped) if isinstance(wrapped, BaseException) else type(error).__name__
