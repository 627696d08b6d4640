"""Parser of `--set section.name=value`, for the settings of a node and for training recipes."""

from __future__ import annotations

from dataclasses import dataclass

from echo_node.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Assignment:
    """A value for a dotted name.

    Attributes:
        key: parts of the name.
        text: value as text, without surrounding white space.
    """

    key: tuple[str, ...]
    text: str


def parse_assignment(text: str, example: str, *, least_parts: int = 1) -> Assignment:
    """Parse the text of one `--set`.

    Args:
        text: argument of the option.
        example: valid assignment, for the error message.
        least_parts: minimum number of parts of the name.

    Raises:
        ConfigError: there is no "=", or the name has an empty part or too few parts.
    """
    name, equals, value = text.partition("=")
    key = tuple(part.strip() for part in name.split("."))
    if not equals or not all(key) or len(key) < least_parts:
        raise ConfigError(f"--set {text}: write it as section.name=value, such as {example}")
    return Assignment(key, value.strip())
