"""Choice of the model that the node loads at its next start."""

from __future__ import annotations

from pathlib import Path

from echo_node.config import LoadedSettings
from echo_node.config.edit import with_setting
from echo_node.config.files import NODE_FILE
from echo_node.errors import ConfigError


def choose_model(loaded: LoadedSettings, name: str) -> Path:
    """Write model.name into the node.toml that was read. Return the path of the file.

    Raises:
        CheckpointError: there is no such model.
        ConfigError: no node.toml was read.
    """
    from echo_node.model.checkpoint import find_checkpoint

    find_checkpoint(name)
    path = next((file for file in loaded.files if file.name == NODE_FILE), None)
    if path is None:
        raise ConfigError(
            f"no {NODE_FILE} was read; `echo-node config init DIR` writes one to use with --config DIR"
        )
    path.write_text(with_setting(path.read_text(encoding="utf-8"), "model", "name", name), encoding="utf-8")
    return path
