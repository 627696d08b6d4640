"""Client of a language model with an OpenAI-compatible API, which rewrites one report at a time.

The reports leave this machine for the address that the user configures. Answers are stored in a
file, so that an interrupted run does not request them again.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

from echo_node.errors import ConfigError, PermanentError, TransientError
from echo_node.http_exchange import HttpAnswer, exchange

KEY_VARIABLE = "ECHO_ENDPOINT_KEY"
"""Environment variable with the API key."""

_PROMPT = (
    "Rewrite the FINDINGS of a chest radiograph report. Write one or two short sentences for each region, "
    "in this order: lungs; pleura; heart and mediastinum; bones; support devices. Keep every finding with "
    "its side, size and certainty. Add no finding. Where the report says nothing of a region, say that it "
    "is normal, or that there are no devices. Answer with the sentences alone: no headings, no list, no "
    "comment."
)
_SUCCESS, _TOO_MANY, _SERVER_ERROR = range(200, 300), 429, 500
_LONGEST_PAUSE_S = 60.0


class Endpoint:
    """Endpoint of a chat model that rewrites findings; safe to call from several threads.

    Args:
        url: base URL, such as http://localhost:8000/v1.
        model: name of the model at the endpoint.
        cache: file of answers, created if missing.
        api_key: API key; if empty, none is sent.
        attempts: maximum number of attempts for a request that fails temporarily.
        timeout_s: time limit of one attempt, in seconds.
        sleep: function that waits between two attempts.

    Raises:
        ConfigError: the URL is not an HTTP address.
    """

    def __init__(
        self,
        url: str,
        model: str,
        cache: Path,
        *,
        api_key: str = "",
        attempts: int = 5,
        timeout_s: float = 120.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise ConfigError(
                "the endpoint must start with http:// or https://, such as http://localhost:8000/v1"
            )
        self._url = f"{url.rstrip('/')}/chat/completions"
        self._model = model
        self._api_key = api_key
        self._attempts = attempts
        self._timeout_s = timeout_s
        self._sleep = sleep
        self._cache = cache
        self._lock = threading.Lock()
        self._known = _load(cache)

    def rewrite(self, findings: str, impression: str) -> str:
        """Return the model's findings.

        Raises:
            ConfigError: the endpoint rejects the request: the address, model or key is wrong.
            TransientError: the endpoint did not answer in any attempt.
            PermanentError: the answer is not a chat completion, or cannot be stored.
        """
        request = "\0".join((self._model, _PROMPT, findings, impression))
        digest = hashlib.sha256(request.encode()).hexdigest()
        if digest not in self._known:
            self._keep(digest, self._ask(f"FINDINGS: {findings}\nIMPRESSION: {impression}"))
        return self._known[digest]

    def _ask(self, report: str) -> str:
        reason = "no attempt was made"
        for attempt in range(self._attempts):
            try:
                answer = self._request(report)
            except TransientError as error:
                reason, pause_s = str(error), _pause_s("", attempt)
            else:
                if answer.status in _SUCCESS:
                    return _completion(answer.body)
                if answer.status != _TOO_MANY and answer.status < _SERVER_ERROR:
                    raise ConfigError(
                        f"the endpoint rejects the request (HTTP {answer.status}): check --endpoint, --model "
                        f"and the variable {KEY_VARIABLE}"
                    )
                reason, pause_s = f"HTTP {answer.status}", _pause_s(answer.retry_after, attempt)
            if attempt + 1 < self._attempts:
                self._sleep(pause_s)
        raise TransientError(
            f"the endpoint did not answer in {self._attempts} attempts ({reason}): "
            "run the same command again later"
        )

    def _request(self, report: str) -> HttpAnswer:
        messages = [{"role": "system", "content": _PROMPT}, {"role": "user", "content": report}]
        body = json.dumps({"model": self._model, "messages": messages, "temperature": 0}).encode()
        headers = {"Content-Type": "application/json"}
        if self._api_key:
            headers["Authorization"] = f"Bearer {self._api_key}"
        return exchange("POST", self._url, headers, body, who="the endpoint", timeout_s=self._timeout_s)

    def _keep(self, digest: str, text: str) -> None:
        with self._lock:
            self._known[digest] = text
            try:
                with self._cache.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"request": digest, "answer": text}) + "\n")
            except OSError as error:
                raise PermanentError(f"{self._cache} cannot be written: {error.strerror}") from error


def _completion(content: bytes) -> str:
    try:
        text = json.loads(content)["choices"][0]["message"]["content"]
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise PermanentError("the answer of the endpoint is not a chat completion") from error
    if not isinstance(text, str) or not text.strip():
        raise PermanentError("the answer of the endpoint is empty")
    return " ".join(text.split())


def _load(cache: Path) -> dict[str, str]:
    """Return the answers of earlier runs; a truncated last line is dropped."""
    if not cache.is_file():
        return {}
    known = {}
    lines = cache.read_text(encoding="utf-8", errors="replace").splitlines()
    for line in lines:
        try:
            row = json.loads(line)
            known[str(row["request"])] = str(row["answer"])
        except (ValueError, KeyError, TypeError):
            continue
    whole = "".join(json.dumps({"request": key, "answer": text}) + "\n" for key, text in known.items())
    cache.write_text(whole, encoding="utf-8")
    return known


def _pause_s(retry_after: str, attempt: int) -> float:
    """Return the wait in seconds: the server's request, or else 1, 2, 4 …, up to a limit."""
    asked = float(retry_after) if retry_after.isdecimal() else float(2**attempt)
    return min(asked, _LONGEST_PAUSE_S)
