"""Finds and reads node.toml and peers.toml, and records the line of each value."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from echo_node.config.keys import PEERS, Key, sections, unknown_section
from echo_node.errors import ConfigError

NODE_FILE = "node.toml"
PEERS_FILE = "peers.toml"
SYSTEM_FOLDER = Path("/etc/echo-node")
LOCAL_FOLDER = Path("dicom_config")

_TABLE = re.compile(r"\s*\[(?P<name>[^\[\]]+)\]")
_ASSIGNMENT = re.compile(r"""\s*(?P<name>[A-Za-z0-9_."'\-]+(?:\s*\.\s*[A-Za-z0-9_"'\-]+)*)\s*=""")


@dataclass(frozen=True, slots=True)
class FileValue:
    """One value of a file, with its place as the source: `node.toml:12`."""

    key: Key
    value: object
    source: str


def find_config(given: Path | None) -> tuple[Path, ...]:
    """Return the configuration files to read; there may be none.

    A *given* path (`--config`, `ECHO_NODE_CONFIG`) must exist. A folder means the node.toml and
    peers.toml in it, a file means itself. Otherwise the first of */etc/echo-node* and
    *./dicom_config* that contains either file is read, never both: the configuration of a service
    must not depend on the folder in which it is started.

    Raises:
        ConfigError: the given path does not exist or contains no configuration.
    """
    if given is None:
        return _files_of(SYSTEM_FOLDER) or _files_of(LOCAL_FOLDER)
    if given.is_file():
        return (given,)
    if not given.is_dir():
        raise ConfigError(
            f"the configuration {given} does not exist: `echo-node config init DIR` creates one"
        )
    files = _files_of(given)
    if not files:
        meant = difflib.get_close_matches(NODE_FILE, [p.name for p in given.iterdir()], n=1, cutoff=0.6)
        hint = f"; should {meant[0]} be called {NODE_FILE}?" if meant else ""
        raise ConfigError(f"the folder {given} contains neither {NODE_FILE} nor {PEERS_FILE}{hint}")
    return files


def _files_of(folder: Path) -> tuple[Path, ...]:
    return tuple(folder / name for name in (NODE_FILE, PEERS_FILE) if (folder / name).is_file())


def read_config(path: Path) -> Iterator[FileValue]:
    """Yield every value of one file.

    In peers.toml each table is a peer; in other files each table is a section.

    Raises:
        ConfigError: the file is unreadable, is not TOML, or has an unknown section.
    """
    try:
        text = path.read_text(encoding="utf-8")
        tables = tomllib.loads(text)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text (byte {error.start})") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error
    if not (is_peers := path.name == PEERS_FILE):
        for name, value in tables.items():
            if isinstance(value, dict) and name not in {*sections(), PEERS}:
                raise unknown_section(name, _where(path, (name,), _line_numbers(text)))
    lines = _line_numbers(text)
    for key, value in _leaves(tables):
        source = _where(path, key, lines)
        if is_peers and len(key) == 1 and not isinstance(value, dict):
            raise ConfigError(f"'{key[0]}' ({source}) belongs to no peer: move it below the [name] of a peer")
        if is_peers:
            yield FileValue((PEERS, *key), value, source)
        elif len(key) > 1 or not isinstance(value, dict):
            yield FileValue(key, value, source)


def _leaves(table: dict[str, Any], prefix: Key = ()) -> Iterator[tuple[Key, object]]:
    """Yield each value with its path; an empty table is a value: a peer without any."""
    for name, value in table.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*prefix, name))
        else:
            yield (*prefix, name), value


def _where(path: Path, key: Key, lines: dict[Key, int]) -> str:
    """Return `file:line` of *key*, or that of the inline table that contains it."""
    line = next((lines[key[:n]] for n in range(len(key), 0, -1) if key[:n] in lines), None)
    return f"{path}:{line}" if line else str(path)


def _line_numbers(text: str) -> dict[Key, int]:
    """Return the line of each assignment and table header, precise enough for a message."""
    lines: dict[Key, int] = {}
    table: Key = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _TABLE.match(line):
            table = _parts(header["name"])
            lines.setdefault(table, number)
        elif assignment := _ASSIGNMENT.match(line):
            lines.setdefault((*table, *_parts(assignment["name"])), number)
    return lines


def _parts(name: str) -> Key:
    return tuple(part.strip().strip("\"'") for part in name.split("."))
