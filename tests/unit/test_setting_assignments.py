"""`--set section.name=value`, as every command reads it."""

import pytest

from echo_node.errors import ConfigError
from echo_node.setting_assignments import Assignment, parse_assignment


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("queue.attempts=3", Assignment(("queue", "attempts"), "3")),
        (" peers . pacs . host = 10.0.0.5 ", Assignment(("peers", "pacs", "host"), "10.0.0.5")),
        ("web.url=http://host/?a=b", Assignment(("web", "url"), "http://host/?a=b")),
        ("stage=ar", Assignment(("stage",), "ar")),
        ("model.start=", Assignment(("model", "start"), "")),
    ],
)
def test_the_name_ends_at_the_first_equals_sign(text: str, expected: Assignment) -> None:
    assert parse_assignment(text, "queue.attempts=3") == expected


@pytest.mark.parametrize("text", ["queue.attempts", "=3", ".attempts=3", "queue.=3", ""])
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ConfigError, match=r"section\.name=value, such as queue\.attempts=3"):
        parse_assignment(text, "queue.attempts=3")


def test_a_name_may_need_its_section() -> None:
    with pytest.raises(ConfigError, match="--set attempts=3"):
        parse_assignment("attempts=3", "queue.attempts=3", least_parts=2)
