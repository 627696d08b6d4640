"""Optional metrics: those that need weights from a local folder, and METEOR, which is slow."""

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
"""Function from drafts and references to scores by name."""

_FROM_FOLDER: Mapping[str, Callable[[Path], Scorer]] = MappingProxyType(
    {"ratescore": RaTEScore.load, "chexbert": CheXbert.load, "radgraph": RadGraph.load}
)
NAMES = (*_FROM_FOLDER, "meteor")


def load_scorers(choices: Sequence[str]) -> tuple[Scorer, ...]:
    """Load the metrics of `--scorer`.

    Args:
        choices: `NAME=FOLDER` for each metric with weights, and `meteor`.

    Raises:
        ConfigError: a name is unknown or needs a folder, or the program of a metric is not
            installed.
        CheckpointError: a folder lacks a file or contains another kind of model.
    """
    return tuple(_load(choice) for choice in choices)


def _load(choice: str) -> Scorer:
    name, _, folder = choice.partition("=")
    if name == "meteor":
        if missing := why_not():
            raise ConfigError(missing)
        return lambda drafts, references: {"meteor": meteor(drafts, references)}
    if name not in _FROM_FOLDER:
        raise ConfigError(f"--scorer '{choice}': there is no metric '{name}'; known: {', '.join(NAMES)}")
    if not folder:
        raise ConfigError(f"--scorer {name} needs the folder of its weights: --scorer {name}=DIR")
    return _FROM_FOLDER[name](Path(folder).expanduser())
