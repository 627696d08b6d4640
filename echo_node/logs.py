"""Logging: constant event names and allow-listed keys, so that no patient data reaches the log.

Events of the node are structured. Records of libraries keep their logger, level and place but not
their text, since pydicom and pynetdicom include values of attributes. Tracebacks keep their class
and their frames but not their text.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any, Literal, TextIO

import structlog

ALLOWED_KEYS = frozenset(
    {
        # structlog's own
        "event", "level", "timestamp", "logger",
        # subject: surrogate ids, configured names, states
        "study_id", "instance_id", "job_id", "document_id", "delivery_id", "commitment_id",
        "commitment_request_id", "conflict_id", "association_id", "revision", "state", "kind", "outcome",
        "status", "role", "peer", "destination", "node", "model", "device", "decoder", "holder", "setting",
        "called", "sop_class", "transfer_syntax",
        # outcome
        "attempt", "tries", "reason", "attributes", "error", "where", "count", "seconds", "delay_s", "bytes",
        "tokens", "forwards", "tokens_per_forward", "epoch", "step", "loss", "signal", "exit_code",
        # state of the process
        "pid", "port", "address", "version", "dropped_keys",
    }
)  # fmt: skip
"""Keys that an event may have; others are dropped, or raise DisallowedKey if `strict`."""

EventDict = MutableMapping[str, Any]


class DisallowedKey(Exception):
    """An event has a key that is not in the allow-list: a defect of the node."""


def configure(
    level: str = "info",
    format: Literal["auto", "json", "console"] = "auto",  # noqa: A002 - name of the setting
    *,
    stream: TextIO | None = None,
    strict: bool = False,
    role: str | None = None,
) -> None:
    """Set up logging for this process; a later call replaces an earlier one.

    Args:
        level: lowest severity of the events that are written.
        format: format of the events; `auto` writes JSON lines unless the stream is a terminal.
        stream: target; standard error by default.
        strict: whether to raise DisallowedKey instead of dropping keys (for tests).
        role: role of this process, added to each event.
    """
    stream = stream or sys.stderr
    as_json = format == "json" or (format == "auto" and not stream.isatty())
    renderer: Any = (
        structlog.processors.JSONRenderer(sort_keys=False)
        if as_json
        else structlog.dev.ConsoleRenderer(colors=stream.isatty())
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            _add_role(role),
            _exception_without_text,
            _allow_list(strict=strict, report=level == "debug"),
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        # One write per line: processes share a stream, and their lines must not mix.
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    for handler in [h for h in root.handlers if isinstance(h, _LibraryRecords)]:
        root.removeHandler(handler)
    root.addHandler(_LibraryRecords(logging.WARNING))
    logging.captureWarnings(capture=True)


def _add_role(role: str | None) -> structlog.types.Processor:
    def with_role(_logger: Any, _method: str, event: EventDict) -> EventDict:
        if role is not None:
            event.setdefault("role", role)
        return event

    return with_role


def _allow_list(*, strict: bool, report: bool) -> structlog.types.Processor:
    def only_allowed(_logger: Any, _method: str, event: EventDict) -> EventDict:
        foreign = sorted(key for key in event if key not in ALLOWED_KEYS)
        if foreign and strict:
            raise DisallowedKey(f"event '{event.get('event')}' has {foreign}, which ALLOWED_KEYS lacks")
        for key in foreign:
            del event[key]
        if foreign and report:
            event["dropped_keys"] = foreign
        return event

    return only_allowed


def _exception_without_text(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Replace `exc_info` with class and innermost frames, since texts may contain patient data."""
    given = event.pop("exc_info", None)
    if not given:
        return event
    error = given if isinstance(given, BaseException) else sys.exc_info()[1]
    if error is not None:
        event["error"] = type(error).__name__
        frames = traceback.extract_tb(error.__traceback__)[-4:]
        event["where"] = [f"{frame.filename}:{frame.lineno}" for frame in frames]
    return event


class _LibraryRecords(logging.Handler):
    """Turns a library's warning or error into an event without its text."""

    def emit(self, record: logging.LogRecord) -> None:
        fields: dict[str, Any] = {"logger": record.name, "where": f"{record.pathname}:{record.lineno}"}
        if record.exc_info and record.exc_info[0]:
            fields["error"] = record.exc_info[0].__name__
        log = structlog.get_logger()
        (log.error if record.levelno >= logging.ERROR else log.warning)("library_message", **fields)
