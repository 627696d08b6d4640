"""Settings by dotted name: known names, types, and the known name nearest to a wrong one.

A key is a path such as `("node", "port")`. A peer may have any name, so `("peers", NAME, "host")`
exists for every NAME. Everything is derived from the models in settings.py, so that a new setting
is known at once.
"""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Iterator

from pydantic.fields import FieldInfo

from echo_node.errors import ConfigError
from echo_node.settings import Peer, Settings, SettingsSection

Key = tuple[str, ...]

PEERS = "peers"


def dotted(key: Key) -> str:
    """Return the key as it is written and printed: `node.port`."""
    return ".".join(key)


def sections() -> dict[str, type[SettingsSection]]:
    """Return the sections by name, without `peers`."""
    return {
        name: field.annotation
        for name, field in Settings.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, SettingsSection)
    }


def known_keys(peer_names: tuple[str, ...] = ()) -> Iterator[tuple[Key, FieldInfo]]:
    """Yield every setting in the order of settings.py, then those of each peer."""
    for section, model in sections().items():
        for name, field in model.model_fields.items():
            yield (section, name), field
    for peer in peer_names:
        for name, field in Peer.model_fields.items():
            yield (PEERS, peer, name), field


def find_field(key: Key) -> FieldInfo | None:
    """Return the setting's description, or None if the setting does not exist."""
    if len(key) == 3 and key[0] == PEERS:
        return Peer.model_fields.get(key[2])
    if len(key) == 2 and key[0] in sections():
        return sections()[key[0]].model_fields.get(key[1])
    return None


def nearest(key: Key, peer_names: tuple[str, ...] = ()) -> str | None:
    """Return the known key nearest to *key*: the same name elsewhere, or a similar one."""
    peers = (*peer_names, key[1]) if len(key) > 2 and key[0] == PEERS else peer_names
    candidates = [dotted(known) for known, _ in known_keys(tuple(dict.fromkeys(peers)))]
    elsewhere = [name for name in candidates if name.rsplit(".", 1)[-1] == key[-1]]
    if elsewhere:
        return elsewhere[0]
    close = difflib.get_close_matches(dotted(key), candidates, n=1, cutoff=0.5)
    if close:
        return close[0]
    leaves = {name.rsplit(".", 1)[-1]: name for name in reversed(candidates)}
    close = difflib.get_close_matches(key[-1], leaves, n=1, cutoff=0.6)
    return leaves[close[0]] if close else None


def unknown(key: Key, source: str, peer_names: tuple[str, ...] = ()) -> ConfigError:
    """Return the error for an unknown key, with the nearest known one."""
    meant = nearest(key, peer_names)
    hint = f"did you mean '{meant}'?" if meant else "`echo-node config show` lists the known settings"
    return ConfigError(f"unknown setting '{dotted(key)}' ({source}): {hint}")


def unknown_section(name: str, source: str) -> ConfigError:
    """Return the error for an unknown section, with the nearest known one."""
    known = [*sections(), PEERS]
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean [{close[0]}]?" if close else f"the sections are {', '.join(known)}"
    return ConfigError(f"unknown section '{name}' ({source}): {hint}")


def holds_list(field: FieldInfo) -> bool:
    """Return whether the setting is a list."""
    return typing.get_origin(field.annotation) is tuple


def holds_flag(field: FieldInfo) -> bool:
    """Return whether the setting is true or false."""
    annotation = field.annotation
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return bool in typing.get_args(annotation)
    return annotation is bool
