"""Finds the data folders that are shipped with the program: `dicom_config` and `alembic`.

In an installed wheel they are inside the package (`echo_node/_data/`); in a checkout they are next
to it. No other module may know which of the two it runs from.
"""

from __future__ import annotations

from pathlib import Path

from echo_node.errors import ConfigError

_PACKAGE = Path(__file__).resolve().parent


def packaged_folder(name: str) -> Path:
    """Return the folder *name* that is shipped with the program.

    Raises:
        ConfigError: neither the installed package nor a checkout contains the folder.
    """
    for folder in (_PACKAGE / "_data" / name, _PACKAGE.parent / name):
        if folder.is_dir():
            return folder
    raise ConfigError(f"the installation lacks its folder '{name}': install echo-node again")
