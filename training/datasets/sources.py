"""Readers by name, and detection of the reader for a folder or file."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

from echo_node.errors import ConfigError
from training.datasets.example import Reader
from training.datasets.readers import built, chexpert_plus, manifest, mimic_cxr, openi, rexgradient

_MODULES = {
    "export": built,
    "manifest": manifest,
    "mimic-cxr": mimic_cxr,
    "chexpert-plus": chexpert_plus,
    "rexgradient": rexgradient,
    "openi": openi,
}

READERS: MappingProxyType[str, Reader] = MappingProxyType(
    {name: module.read for name, module in _MODULES.items()}
)


def detect(source: Path) -> str:
    """Return the name of the reader for *source*.

    Raises:
        ConfigError: no reader recognises the layout.
    """
    for name, module in _MODULES.items():
        if module.recognises(source):
            return name
    raise ConfigError(
        f"the layout of {source} is unknown: --format takes one of {', '.join(_MODULES)}, "
        "and docs/how-to/build-data-sets.md shows their files"
    )
