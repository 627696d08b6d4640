"""Logging: constant event names and allow-listed keys, so that no patient data can slip through.

Events of the node are structured; records of libraries keep their logger, level and place but not
their text, since pydicom and pynetdicom put values of attributes into theirs. Tracebacks keep their
class and their frames, not their text.
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
        # what it is about: surrogate ids, configured names, states
        "study_id", "instance_id", "job_id", "document_id", "delivery_id", "commitment_id", "promise_id",
        "conflict_id", "association_id", "revision", "state", "kind", "outcome", "status", "role", "peer",
        "destination", "node", "model", "device", "decoder", "holder", "setting",
        # how it went
        "attempt", "tries", "reason", "error", "where", "count", "seconds", "delay_s", "bytes",
        "tokens", "forwards", "tokens_per_forward", "epoch", "step", "loss", "signal", "exit_code",
        # where the process stands
        "pid", "port", "address", "version", "dropped_keys",
    }
)  # fmt: skip
"""Keys that an event may carry; anything else is dropped, or refused where `strict`."""

EventDict = MutableMapping[str, Any]


class DisallowedKey(Exception):
    """An event carries a key that is not in the allow-list: a defect in the node."""


def configure(
    level: str = "info",
    format: Literal["auto", "json", "console"] = "auto",  # noqa: A002 - the setting's own name
    *,
    stream: TextIO | None = None,
    strict: bool = False,
    role: str | None = None,
) -> None:
    """Set up logging for this process; a later call replaces an earlier one.

    Args:
        level: the least severe level that is written.
        format: `auto` writes JSON lines unless the stream is a terminal.
        stream: where to; standard error by default.
        strict: raise DisallowedKey instead of dropping keys (for tests).
        role: what this process does; each of its events says so.
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
        # One write a line: several processes share a stream, and their lines must not run into each other.
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
            raise DisallowedKey(f"event '{event.get('event')}' carries {foreign}: see ALLOWED_KEYS")
        for key in foreign:
            del event[key]
        if foreign and report:
            event["dropped_keys"] = foreign
        return event

    return only_allowed


def _exception_without_text(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Replace `exc_info` by the exception's class and its innermost frames: texts may hold patient data."""
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
    """Turns a library's warning or error into an event of ours, without its text."""

    def emit(self, record: logging.LogRecord) -> None:
        fields: dict[str, Any] = {"logger": record.name, "where": f"{record.pathname}:{record.lineno}"}
        if record.exc_info and record.exc_info[0]:
            fields["error"] = record.exc_info[0].__name__
        log = structlog.get_logger()
        (log.error if record.levelno >= logging.ERROR else log.warning)("library_message", **fields)
