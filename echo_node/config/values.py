"""Conversion of values: from text of environment and command line, and masking of passwords."""

from __future__ import annotations

import re

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from echo_node.config.keys import Key, holds_list
from echo_node.errors import ConfigError
from echo_node.settings import Peer

_CREDENTIALS = re.compile(r"(?<=://)([^/@:]*):(.*)@")
_SECRET_PARAMETER = re.compile(r"([?&][^=&]*(?:password|secret|token)[^=&]*=)[^&]*", re.IGNORECASE)
_PACS = re.compile(r"(?P<ae_title>[^@]+)@(?P<host>\[[^\]]+\]|[^:\[\]]+):(?P<port>[0-9]{1,5})")


def from_text(text: str, field: FieldInfo) -> object:
    """Return *text*, or its items if the setting is a list. Pydantic converts numbers."""
    if holds_list(field):
        return [item.strip() for item in text.split(",") if item.strip()]
    return text


def parse_pacs(text: str, source: str) -> dict[str, object]:
    """Return the settings of the peer `AE@host:port`; an IPv6 address is in brackets.

    Raises:
        ConfigError: the text does not have this form.
    """
    match = _PACS.fullmatch(text.strip())
    if match is None or not 1 <= int(match["port"]) <= 65535:
        raise ConfigError(
            f"'{text}' ({source}) does not have the form AE@host:port, such as PACS@10.0.0.5:104"
        )
    return {"ae_title": match["ae_title"], "host": match["host"].strip("[]"), "port": int(match["port"])}


def pacs_peer(text: str, source: str) -> Peer:
    """Return the validated peer `AE@host:port`.

    Raises:
        ConfigError: the text does not have this form, or the AE title is invalid.
    """
    try:
        return Peer.model_validate(parse_pacs(text, source))
    except ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise ConfigError(f"'{text}' ({source}): {reason}") from None


def masked(key: Key, value: object) -> object:
    """Return *value* for printing: passwords and tokens are replaced by `***`."""
    if key[-1] in {"stow_token", "qido_token"} and value:
        return "***"
    if key[-1] in {"url", "endpoint_url", "qido_url"} and isinstance(value, str):
        return mask_url(value)
    return value


def mask_url(url: str) -> str:
    """Return *url* with its password masked, wherever in the URL it is."""
    return _SECRET_PARAMETER.sub(r"\1***", _CREDENTIALS.sub(r"\1:***@", url))
