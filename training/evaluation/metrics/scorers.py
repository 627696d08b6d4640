"""Metrics that must be asked for, by name: those that need weights from a local folder, and slow METEOR."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

from echo_node.errors import ConfigError
from training.evaluation.metrics.chexbert import CheXbert
from training.evaluation.metrics.meteor import meteor, why_not
from training.evaluation.metrics.radgraph import RadGraph
from training.evaluation.metrics.ratescore import RaTEScore

Scorer: TypeAlias = Callable[[Sequence[str], Sequence[str]], dict[str, float]]
"""From drafts and references to figures by name."""

_FROM_FOLDER: Mapping[str, Callable[[Path], Scorer]] = MappingProxyType(
    {"ratescore": RaTEScore.load, "chexbert": CheXbert.load, "radgraph": RadGraph.load}
)
NAMES = (*_FROM_FOLDER, "meteor")


def load_scorers(choices: Sequence[str]) -> tuple[Scorer, ...]:
    """Load what `--scorer` names.

    Args:
        choices: `NAME=FOLDER` each, or `meteor`.

    Raises:
        ConfigError: a name is not known, needs a folder, or what it runs is not installed.
        CheckpointError: a folder lacks a file or holds another kind of model.
    """
    return tuple(_load(choice) for choice in choices)


def _load(choice: str) -> Scorer:
    name, _, folder = choice.partition("=")
    if name == "meteor":
        if missing := why_not():
            raise ConfigError(missing)
        return lambda drafts, references: {"meteor": meteor(drafts, references)}
    if name not in _FROM_FOLDER:
        raise ConfigError(f"--scorer '{choice}': there is no metric '{name}'; there are {', '.join(NAMES)}")
    if not folder:
        raise ConfigError(f"--scorer {name} needs the folder of its weights: --scorer {name}=DIR")
    return _FROM_FOLDER[name](Path(folder).expanduser())
