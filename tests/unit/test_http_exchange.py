"""An HTTP exchange: bounded in time and size, never redirected, with no address in errors."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from echo_node import http_exchange
from echo_node.errors import TransientError
from echo_node.http_exchange import exchange

PATIENT = "PatientID=4711"


@contextmanager
def serving(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/?{PATIENT}"
    server.shutdown()
    server.server_close()


def test_a_redirection_is_an_answer_like_any_other() -> None:
    asked: list[str] = []

    def elsewhere(request: BaseHTTPRequestHandler) -> None:
        asked.append(request.path)
        request.send_response(302)
        request.send_header("Location", "/elsewhere")
        request.end_headers()

    with serving(elsewhere) as url:
        assert exchange("GET", url, {"Authorization": "Bearer t"}, who="X", timeout_s=10).status == 302
    assert len(asked) == 1


def test_no_address_is_logged_or_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with serving(lambda request: request.send_error(503)) as url:
        assert exchange("GET", url, {}, who="X", timeout_s=10).status == 503
    with pytest.raises(TransientError, match=r"^X cannot be reached: ConnectionRefusedError$") as told:
        exchange("GET", url, {}, who="X", timeout_s=10)
    assert PATIENT not in caplog.text + repr(told.value) + repr(told.value.__cause__)


def test_an_answer_without_an_end_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    stopped = threading.Event()

    def drip(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        try:
            while not stopped.wait(0.01):
                request.wfile.write(b"." * 10)
                request.wfile.flush()
        except OSError:
            pass

    with serving(drip) as url:
        with pytest.raises(TransientError, match="X does not finish its answer in time"):
            exchange("GET", url, {}, who="X", timeout_s=10, within_s=0.2)
        monkeypatch.setattr(http_exchange, "_MOST_BYTES", 100)
        with pytest.raises(TransientError, match="X answers with more than"):
            exchange("GET", url, {}, who="X", timeout_s=10)
        stopped.set()


def test_a_server_without_tls_is_not_spoken_to_in_the_clear() -> None:
    with (
        serving(lambda request: request.send_error(200)) as url,
        pytest.raises(TransientError, match="X cannot be reached: SSLError"),
    ):
        exchange("GET", url.replace("http://", "https://"), {}, who="X", timeout_s=10)


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ({"all_proxy": "socks5://127.0.0.1:1", "https_proxy": "socks5://127.0.0.1:1"}, None),
        ({"http_proxy": "http://127.0.0.1:1", "no_proxy": "127.0.0.1"}, None),
        ({"http_proxy": "127.0.0.1:1"}, "ConnectionRefusedError"),
        ({"http_proxy": "socks5://user:secret@127.0.0.1:1"}, "ProxyError"),
    ],
)
def test_only_http_proxies_for_the_address_are_used(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], reason: str | None
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with serving(lambda request: request.send_error(404)) as url:
        if reason is None:
            assert exchange("GET", url, {}, who="X", timeout_s=10).status == 404
            return
        with pytest.raises(TransientError, match=f"^X cannot be reached: {reason}$"):
            exchange("GET", url, {}, who="X", timeout_s=10)


def test_a_token_with_blanks_around_it_or_a_letter_beyond_ascii_is_sent() -> None:
    sent: list[str | None] = []

    def note(request: BaseHTTPRequestHandler) -> None:
        sent.append(request.headers["Authorization"])
        request.send_error(401)

    with serving(note) as url:
        exchange("GET", url, {"Authorization": "Bearer f\xfcnf \n"}, who="X", timeout_s=10)
    assert sent == ["Bearer f\xfcnf"]
