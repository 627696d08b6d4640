import io
import json
import logging
import warnings

import pytest
import structlog

from echo_node import logs


def _lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_events_are_json_lines_with_level_and_time_when_not_on_a_terminal() -> None:
    stream = io.StringIO()
    logs.configure(stream=stream, role="infer")
    structlog.get_logger().info("study_complete", study_id=3)
    (line,) = _lines(stream)
    assert str(line.pop("timestamp")).startswith("20")
    assert line == {"event": "study_complete", "level": "info", "study_id": 3, "role": "infer"}


def test_a_line_is_one_write_so_that_processes_can_share_a_stream() -> None:
    class Stream(io.StringIO):
        written: list[str] = []  # noqa: RUF012 - one stream

        def write(self, text: str) -> int:
            self.written.append(text)
            return super().write(text)

    stream = Stream()
    logs.configure(stream=stream)
    structlog.get_logger().info("study_complete", study_id=3)
    structlog.get_logger().warning("study_failed", study_id=4)
    assert [text.count("\n") for text in stream.written] == [1, 1]
    assert all(text.endswith("}\n") for text in stream.written)


def test_keys_that_are_not_allowed_are_dropped_and_debug_says_which() -> None:
    for level, expected in (("info", None), ("debug", ["patient_name"])):
        stream = io.StringIO()
        logs.configure(level, stream=stream)
        structlog.get_logger().info("x", patient_name="DOE^JOHN")
        assert "DOE" not in stream.getvalue()
        assert _lines(stream)[0].get("dropped_keys") == expected


def test_strict_refuses_them() -> None:
    logs.configure(stream=io.StringIO(), strict=True)
    with pytest.raises(logs.DisallowedKey, match="patient_name"):
        structlog.get_logger().info("x", patient_name="DOE^JOHN")


def test_a_traceback_keeps_its_class_and_place_and_loses_its_text() -> None:
    stream = io.StringIO()
    logs.configure(stream=stream)
    try:
        int("DOE^JOHN")
    except ValueError:
        structlog.get_logger().exception("stage_failed")
    (line,) = _lines(stream)
    assert "DOE" not in stream.getvalue()
    assert line["error"] == "ValueError"
    assert "test_logs.py" in str(line["where"])


def test_less_severe_events_are_left_out() -> None:
    stream = io.StringIO()
    logs.configure("warning", stream=stream)
    structlog.get_logger().info("quiet")
    structlog.get_logger().warning("loud")
    assert [line["event"] for line in _lines(stream)] == ["loud"]


def test_a_librarys_record_is_told_without_its_text() -> None:
    stream = io.StringIO()
    logs.configure(stream=stream)
    logs.configure(stream=stream)
    logging.getLogger("some.library").warning("bad value 'DOE^JOHN'")
    logging.getLogger("some.library").info("DOE^JOHN")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn("DOE^JOHN", stacklevel=1)
    assert "DOE" not in stream.getvalue()
    assert [line["logger"] for line in _lines(stream)] == ["some.library", "py.warnings"]


def test_the_console_form_is_for_people() -> None:
    stream = io.StringIO()
    logs.configure(format="console", stream=stream)
    structlog.get_logger().info("role_ready", role="web")
    assert "role_ready" in stream.getvalue()
    assert not stream.getvalue().startswith("{")
