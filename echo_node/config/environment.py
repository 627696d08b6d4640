"""Settings from the environment: `ECHO_NODE_<SECTION>__<NAME>`, and short forms of common ones."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping

from echo_node.config.keys import PEERS, Key, find_field, sections, unknown
from echo_node.errors import ConfigError

PREFIX = "ECHO_NODE_"

SHORT_FORMS: dict[str, Key] = {
    "AE_TITLE": ("node", "ae_title"),
    "PORT": ("node", "port"),
    "DATA_DIR": ("node", "data_dir"),
    "ROLE": ("node", "role"),
    "DATABASE_URL": ("database", "url"),
    "STUDY_IDLE": ("intake", "study_idle_s"),
    "MODEL": ("model", "name"),
}
"""Flags of `serve` as variables: `ECHO_NODE_PORT` is `--port`."""

PACS = "PACS"
"""`ECHO_NODE_PACS` is `--pacs`: `AE@host:port`, or several separated by commas."""

NOT_SETTINGS = frozenset({"CONFIG", "DEBUG", "MODELS"})
"""Variables of the command itself: configuration to read, tracebacks, folder of added models."""

# Kubernetes describes a service called echo-node to every pod, in variables with our prefix.
_SERVICE_LINK = re.compile(r"SERVICE_(HOST|PORT(_.+)?)|PORT_[0-9]+_(TCP|UDP)(_.+)?")
_SERVICE_URL = re.compile(r"(tcp|udp)://")


def read_environment(
    environ: Mapping[str, str], peer_names: tuple[str, ...]
) -> Iterator[tuple[Key, str, str]]:
    """Yield key, text and variable of every setting in *environ*.

    The key of ECHO_NODE_PACS is ("pacs",).

    Args:
        environ: variables of the process.
        peer_names: names of the peers in the files; a variable names a peer regardless of case.

    Raises:
        ConfigError: a variable begins with ECHO_NODE_ but names no setting.
    """
    for variable in sorted(environ):
        if not variable.startswith(PREFIX):
            continue
        name, text = variable.removeprefix(PREFIX), environ[variable]
        if name in NOT_SETTINGS or _is_service_link(name, text):
            continue
        if name == PACS:
            yield ("pacs",), text, variable
        elif name in SHORT_FORMS:
            yield SHORT_FORMS[name], text, variable
        else:
            yield _key_of(name, variable, peer_names), text, variable


def _is_service_link(name: str, text: str) -> bool:
    return bool(_SERVICE_LINK.fullmatch(name)) or (name == "PORT" and bool(_SERVICE_URL.match(text)))


def _key_of(name: str, variable: str, peer_names: tuple[str, ...]) -> Key:
    parts = name.lower().split("__")
    if len(parts) == 3 and parts[0] == PEERS:
        parts[1] = next((peer for peer in peer_names if peer.lower() == parts[1]), parts[1])
    key = tuple(parts)
    if find_field(key) is not None:
        return key
    if len(parts) == 1:
        raise _unknown_variable(name, variable)
    raise unknown(key, variable, peer_names)


def _unknown_variable(name: str, variable: str) -> ConfigError:
    """Return the error for a name without a section: a short form, or a missing underscore."""
    full = [
        f"{section}__{field}".upper() for section, model in sections().items() for field in model.model_fields
    ]
    close = difflib.get_close_matches(name, [*SHORT_FORMS, PACS, *NOT_SETTINGS, *full], n=1, cutoff=0.5)
    hint = f"did you mean {PREFIX}{close[0]}?" if close else f"settings are {PREFIX}<SECTION>__<NAME>"
    return ConfigError(f"unknown environment variable {variable}: {hint}")
