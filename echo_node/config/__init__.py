"""Sources of the settings: defaults < files < environment < command line; each value has one."""

from echo_node.config.files import find_config
from echo_node.config.sources import LoadedSettings, Override, load
from echo_node.config.values import masked

__all__ = ["LoadedSettings", "Override", "find_config", "load", "masked"]
