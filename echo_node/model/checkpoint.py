"""Checkpoints on disk: loading with every fault named, saving, and the digest that identifies one.

A checkpoint is a folder: config.json, model.safetensors (or shards), the tokeniser's files,
preprocessor_config.json and model.json, our own page of facts (name, version, demonstration).
safetensors only, and no code from a checkpoint is ever run.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoTokenizer
from transformers.utils import logging as transformers_logging

from echo_node.errors import CheckpointError
from echo_node.model.config import EchoConfig
from echo_node.model.vlm import EchoForReportGeneration

FACTS_FILE = "model.json"
SHIPPED = Path(__file__).resolve().parent.parent / "models"


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What a checkpoint says of itself beyond its configuration.

    Attributes:
        name: for people.
        version: of the weights.
        demonstration: true if drafts must say that they are not for clinical use.
        language: of the reports, RFC 5646.
        teacher: name or folder of the model that this one was distilled from; empty if none.
    """

    name: str
    version: str
    demonstration: bool = False
    language: str = "en"
    teacher: str = ""

    def save(self, folder: Path) -> None:
        """Write model.json."""
        (folder / FACTS_FILE).write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A loaded checkpoint."""

    folder: Path
    facts: ModelFacts
    digest: str
    model: EchoForReportGeneration
    tokenizer: Any


def find(name: str) -> Path:
    """Return the folder of a checkpoint given by a shipped model's name or by its path.

    Raises:
        CheckpointError: there is neither.
    """
    for folder in (SHIPPED / name if "/" not in name else None, Path(name).expanduser()):
        if folder is not None and (folder / "config.json").is_file():
            return folder
    shipped = ", ".join(sorted(p.parent.name for p in SHIPPED.glob("*/config.json"))) or "none"
    raise CheckpointError(
        f"no model '{name}': neither a shipped one ({shipped}) nor a folder with a config.json"
    )


def digest(folder: Path) -> str:
    """Return the SHA-256 over a checkpoint's weights, configuration and tokeniser, in hexadecimal."""
    total = hashlib.sha256()
    names = ("config.json", "tokenizer.json", "preprocessor_config.json")
    for path in sorted([*folder.glob("*.safetensors"), *(folder / n for n in names)]):
        if path.is_file():
            with path.open("rb") as file:
                total.update(path.name.encode() + b"\0" + hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()


def load(name: str, device: str = "cpu") -> Checkpoint:
    """Load a checkpoint for inference or as the start of a training stage.

    On the CPU the weights become float32, whatever they are stored as; on a GPU bfloat16.

    Raises:
        CheckpointError: naming the file, tensor or setting that is missing, truncated or of another kind.
    """
    folder = find(name)
    model = _load_weights(folder, device)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{folder} has no usable tokeniser") from error
    model.to(torch.device(device))  # type: ignore[arg-type]
    return Checkpoint(folder, _load_facts(folder), digest(folder), model, tokenizer)


def _load_facts(folder: Path) -> ModelFacts:
    path = folder / FACTS_FILE
    if not path.is_file():
        return ModelFacts(name=folder.name, version="unknown")
    try:
        return ModelFacts(**json.loads(path.read_text(encoding="utf-8")))
    except (json.JSONDecodeError, TypeError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from error


def _load_weights(folder: Path, device: str) -> EchoForReportGeneration:
    if not any(folder.glob("*.safetensors")):
        raise CheckpointError(f"{folder} has no .safetensors file; other formats are not loaded")
    dtype = torch.float32 if device == "cpu" else torch.bfloat16
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    try:
        config = EchoConfig.from_pretrained(folder)
        _ = config.mask, config.end_of_sequence
        loaded: Any = EchoForReportGeneration.from_pretrained(
            folder,
            config=config,
            dtype=dtype,
            use_safetensors=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
        )
        model, info = loaded
    except (SafetensorError, OSError, RuntimeError, ValueError, KeyError) as error:
        raise CheckpointError(f"{folder} cannot be loaded: {error}") from error
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if names := sorted(key if isinstance(key, str) else key[0] for key in info[kind]):
            listed = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
            raise CheckpointError(f"{folder}: {kind.removesuffix('_keys')} tensors: {listed}")
    checked: EchoForReportGeneration = model.eval()
    return checked
