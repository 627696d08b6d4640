"""The coded concepts of the draft, read from sr_codes.toml."""

from __future__ import annotations

import tomllib
from functools import cache
from typing import Any

from highdicom.sr import CodedConcept

from echo_node.errors import ConfigError
from echo_node.packaged import packaged_folder


@cache
def _table() -> dict[str, Any]:
    path = packaged_folder("dicom_config") / "sr_codes.toml"
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path} cannot be used: {error}") from error


def _entry(group: str, name: str) -> Any:
    try:
        return _table()[group][name]
    except KeyError:
        raise ConfigError(f"sr_codes.toml lacks '{name}' in [{group}]") from None


def concept(group: str, name: str) -> CodedConcept:
    """Return a code item (PS3.3 8.8) for the concept *name* of *group* in sr_codes.toml.

    Raises:
        ConfigError: the file lacks it.
    """
    value, scheme, meaning = _entry(group, name)
    return CodedConcept(value, scheme, meaning)


def language(tag: str) -> CodedConcept:
    """Return the code item of a language by its RFC 5646 tag."""
    return CodedConcept(tag, "RFC5646", _table()["rfc5646"].get(tag, tag))


def template_id() -> str:
    """Return the identifier of the DCMR template that the document follows."""
    return str(_entry("template", "identifier"))
