"""Endpoints for operators: `/health`, `/metrics` and a page of counts and surrogate ids."""

from __future__ import annotations

import html
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Any

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from echo_node.domain.work.kinds import DELIVERY, WITHDRAWAL
from echo_node.errors import ConfigError, TransientError
from echo_node.settings import WebSettings
from echo_node.web.metrics import StateMetrics
from echo_node.web.status_queries import StateCounts, StatusQueries


def serve(
    web: WebSettings,
    queries: StatusQueries,
    stop: threading.Event,
    on_ready: Callable[[int], None] = lambda port: None,
) -> None:
    """Serve until *stop* is set.

    Args:
        web: address and port.
        queries: source of the counts and studies.
        stop: event that ends the server.
        on_ready: called with the port once the server listens.

    Raises:
        ConfigError: the address or port is not available.
    """
    family = socket.AF_INET6 if ":" in web.bind_address else socket.AF_INET
    try:
        listener = socket.create_server((web.bind_address, web.port), family=family)
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {web.bind_address} port {web.port} ({error.strerror}): "
            "set web.bind_address and web.port to a free address and port"
        ) from error
    server = uvicorn.Server(
        uvicorn.Config(application(queries), log_config=None, access_log=False, timeout_graceful_shutdown=2)
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="web", daemon=True)
    with listener:
        thread.start()
        on_ready(int(listener.getsockname()[1]))
        stop.wait()
        server.should_exit = True
        thread.join()


def application(queries: StatusQueries) -> Starlette:
    """Return the pages as an ASGI application."""
    registry = CollectorRegistry()
    registry.register(StateMetrics(queries))

    def health(_request: Request) -> Response:
        try:
            queries.ping()
        except TransientError as error:
            return PlainTextResponse(f"{error}\n", status_code=503)
        return PlainTextResponse("ok\n")

    def metrics(_request: Request) -> Response:
        try:
            body = generate_latest(registry)
        except TransientError as error:
            return PlainTextResponse(f"{error}\n", status_code=503)
        return Response(body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    def page(_request: Request) -> Response:
        try:
            withdrawals = queries.list_work(WITHDRAWAL, limit=_WITHDRAWALS_SHOWN)
            return HTMLResponse(_page(queries.overview(), queries.recent_studies(), withdrawals))
        except TransientError as error:
            return PlainTextResponse(f"{error}\n", status_code=503)

    return Starlette(
        routes=[Route("/health", health), Route("/metrics", metrics), Route("/", page)],
    )


_WITHDRAWALS_SHOWN = 10
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;margin:2rem;max-width:60rem}"
    "table{border-collapse:collapse;margin:0 0 2rem}"
    "td,th{padding:.3rem 1rem .3rem 0;text-align:left;border-bottom:1px solid #8884}"
    ":root{color-scheme:light dark}"
)


def _page(overview: StateCounts, studies: list[dict[str, Any]], withdrawals: list[dict[str, Any]]) -> str:
    counts = [
        _table(title, ("state", "count"), [(state, str(count)) for state, count in numbers.items()])
        for title, numbers in (
            ("Studies", overview.studies),
            ("Deliveries", overview.work[DELIVERY.name.plural]),
        )
    ]
    rows = [
        (
            str(study["study_id"]),
            str(study["revision"]),
            study["state"],
            study["changed_at"].replace("T", " ")[:19],
            study["reason"] or "",
        )
        for study in studies
    ]
    recent = _table("Recent studies", ("study", "revision", "state", "changed (UTC)", "reason"), rows)
    withdrawn_rows = [
        (
            str(each["study_id"]),
            each["rejection"],
            each["asked_at"].replace("T", " ")[:19],
            each["asked_by"] or "the node itself",
            each["explanation"],
        )
        for each in withdrawals
    ]
    withdrawn = (
        _table("Withdrawn", ("study", "reason", "when (UTC)", "by", "why"), withdrawn_rows)
        if withdrawn_rows
        else ""
    )
    aside = (
        f"<p><strong>{overview.conflicts} set aside</strong>: different content arrived under the SOP "
        "Instance UID of a stored image. <code>echo-node status</code> lists the studies.</p>"
        if overview.conflicts
        else ""
    )
    held = (
        f"<p><strong>{overview.held} held</strong>: an operator must decide before they are drafted. "
        "<code>echo-node queue list --state held</code> lists the studies.</p>"
        if overview.held
        else ""
    )
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><meta http-equiv=refresh content=10>"
        f"<title>echo-node</title><style>{_STYLE}</style><h1>echo-node</h1>{held}{aside}{''.join(counts)}"
        f"{withdrawn}{recent}</html>"
    )


def _table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return f"<h2>{title}</h2><p>None yet.</p>"
    head = "".join(f"<th>{html.escape(name)}</th>" for name in heads)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<h2>{title}</h2><table><tr>{head}</tr>{body}</table>"
