"""Merges the settings: defaults < files < environment < command line, each with its source."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from echo_node.config.environment import PREFIX, read_environment
from echo_node.config.files import find_config, read_config
from echo_node.config.keys import PEERS, Key, dotted, find_field, holds_flag, known_keys, unknown
from echo_node.config.values import from_text, masked, parse_pacs
from echo_node.errors import ConfigError
from echo_node.settings import Settings

DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Override:
    """Setting given on the command line; `source` is the flag, such as `--port`.

    The key `("pacs",)` takes `AE@host:port` and defines a peer that is a destination.
    """

    key: Key
    text: str
    source: str


@dataclass(frozen=True, slots=True)
class EffectiveValue:
    """Effective setting with its source; passwords are masked."""

    key: Key
    value: object
    source: str


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """Settings, the files that were read, and the source of each value that is not a default."""

    settings: Settings
    files: tuple[Path, ...]
    sources: Mapping[str, str]

    def effective(self) -> list[EffectiveValue]:
        """Return every effective setting in the order of settings.py."""
        dump = self.settings.model_dump(mode="json")
        result = []
        for key, _ in known_keys(tuple(self.settings.peers)):
            value: Any = dump
            for part in key:
                value = value[part]
            result.append(EffectiveValue(key, masked(key, value), self.sources.get(dotted(key), DEFAULT)))
        return result


@dataclass(slots=True)
class _Values:
    """Values collected so far; a later value replaces an earlier one with the same key."""

    tree: dict[str, Any] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)

    @property
    def peer_names(self) -> tuple[str, ...]:
        return tuple(self.tree.get(PEERS, ()))

    def put(self, key: Key, value: object, source: str) -> None:
        if value == {} and len(key) == 2 and key[0] == PEERS:
            self.tree.setdefault(PEERS, {}).setdefault(key[1], {})
            self.sources.setdefault(dotted(key), source)
            return
        setting = find_field(key)
        if setting is None:
            raise unknown(key, source, self.peer_names)
        if isinstance(value, bool) and not holds_flag(setting):
            raise ConfigError(f"'{dotted(key)}' ({source}) is not a true-or-false setting")
        branch = self.tree
        for part in key[:-1]:
            branch = branch.setdefault(part, {})
        branch[key[-1]] = value
        self.sources[dotted(key)] = source

    def put_text(self, key: Key, text: str, source: str) -> None:
        if key == ("pacs",):
            self._put_pacs([(text, source)])
            return
        setting = find_field(key)
        if setting is None:
            raise unknown(key, source, self.peer_names)
        self.put(key, from_text(text, setting), source)

    def _put_pacs(self, given: list[tuple[str, str]]) -> None:
        names = []
        for number, (text, source) in enumerate(given, start=1):
            name = "pacs" if number == 1 else f"pacs-{number}"
            self._forget_peer(name)
            for part, value in parse_pacs(text, source).items():
                self.put((PEERS, name, part), value, source)
            names.append(name)
        self.put(("delivery", "destinations"), names, given[0][1])

    def _forget_peer(self, name: str) -> None:
        self.tree.setdefault(PEERS, {}).pop(name, None)
        prefix = dotted((PEERS, name, ""))
        self.sources = {key: source for key, source in self.sources.items() if not key.startswith(prefix)}

    def put_all(self, given: Iterable[tuple[Key, str, str]]) -> None:
        """Put the texts of one layer; all PACS of a layer together are the destinations."""
        pacs: list[tuple[str, str]] = []
        for key, text, source in given:
            if key == ("pacs",):
                pacs += [(item.strip(), source) for item in text.split(",") if item.strip()]
            else:
                self.put_text(key, text, source)
        if pacs:
            self._put_pacs(pacs)


def load(
    config: Path | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Iterable[Override] = (),
) -> LoadedSettings:
    """Return the effective settings.

    Args:
        config: folder or file of `--config`; None takes `ECHO_NODE_CONFIG`, then the usual places.
        environ: variables of the process; None means none.
        overrides: settings from the command line.

    Raises:
        ConfigError: a key is unknown or a value invalid; the message names key, source and remedy.
    """
    environ = environ or {}
    variable = environ.get(f"{PREFIX}CONFIG")
    files = find_config(config or (Path(variable) if variable else None))
    values = _Values()
    for path in files:
        for item in read_config(path):
            values.put(item.key, item.value, item.source)
    values.put_all(read_environment(environ, values.peer_names))
    values.put_all((item.key, item.text, item.source) for item in overrides)
    try:
        settings = Settings.model_validate(values.tree)
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(detail, values.sources) for detail in error.errors())) from None
    return LoadedSettings(settings, files, values.sources)


def _explain(detail: ErrorDetails, sources: Mapping[str, str]) -> str:
    """Return one line for an invalid value: setting, value, source, and allowed values."""
    path = tuple(str(part) for part in detail["loc"])
    size = 3 if path[0] == PEERS else 2
    key = path[:size]
    name = dotted(key)
    source = sources.get(name)
    if detail["type"] == "missing":
        peer = dotted(key[:-1])
        near = (where for known, where in sources.items() if known == peer or known.startswith(f"{peer}."))
        at = next(near, DEFAULT)
        return f"peer '{key[1]}' ({at}) needs a value for '{key[-1]}'"
    value = masked(key, detail["input"])
    reason = detail["msg"].removeprefix("Value error, ")
    return f"'{name}' cannot be {value!r} ({source or DEFAULT}): {reason[:1].lower()}{reason[1:]}"
