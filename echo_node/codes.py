"""Coded concepts of a draft, from sr_codes.toml, the same in every form."""

from __future__ import annotations

import tomllib
from functools import cache
from typing import Any

from echo_node.domain.drafts.subject import Code
from echo_node.errors import ConfigError
from echo_node.resources import packaged_folder


@cache
def _table() -> dict[str, Any]:
    path = packaged_folder("dicom_config") / "sr_codes.toml"
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path} cannot be used: {error}") from error


def entry(group: str, name: str) -> Any:
    """Return the entry *name* of *group* in sr_codes.toml.

    Raises:
        ConfigError: the file lacks it.
    """
    try:
        return _table()[group][name]
    except KeyError:
        raise ConfigError(f"sr_codes.toml lacks '{name}' in [{group}]") from None


def code(group: str, name: str) -> Code:
    """Return the concept *name* of *group*.

    Raises:
        ConfigError: the file lacks it.
    """
    value, scheme, meaning = entry(group, name)
    return Code(value, scheme, meaning)


def language_code(tag: str) -> Code:
    """Return the code of a language (RFC 5646). Its meaning is the tag if the file lacks it."""
    return Code(tag, "RFC5646", _table()["rfc5646"].get(tag, tag))
