"""Checkpoints on disk: loading with every fault named, saving, and the digest that identifies one.

A checkpoint is a folder: config.json, model.safetensors (or shards), the tokeniser's files,
preprocessor_config.json and model.json, our own page of facts (name, version, demonstration).
safetensors only, and no code from a checkpoint is ever run.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import AutoTokenizer
from transformers.utils import logging as transformers_logging

from echo_node.errors import CheckpointError
from echo_node.model.config import MASK_TOKEN, EchoConfig
from echo_node.model.report_generation import EchoForReportGeneration

FACTS_FILE = "model.json"
_OLDER_NAMES = {  # as transformers named the tensors before 4.52
    r"^visual": "model.visual",
    r"^model(?!\.(language_model|visual))": "model.language_model",
}
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
        block_length: of a model whose config.json does not say it; else 0.
        licence: under which the weights may be used, as their publisher states it; empty if not known.
        origin: where the weights came from, such as a hub's id and revision.
    """

    name: str
    version: str
    demonstration: bool = False
    language: str = "en"
    teacher: str = ""
    block_length: int = 0
    licence: str = ""
    origin: str = ""

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


def library() -> Path:
    """Return the folder of the models that were added: ECHO_NODE_MODELS, or the user's data folder."""
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(os.environ.get("ECHO_NODE_MODELS") or f"{data}/echo-node/models").expanduser()


def known() -> dict[str, Path]:
    """Return the folders of the shipped models and of those that were added, by name."""
    folders = [p.parent for place in (library(), SHIPPED) for p in sorted(place.glob("[!.]*/config.json"))]
    return {folder.name: folder for folder in folders}


def find(name: str) -> Path:
    """Return the folder of a checkpoint given by a model's name or by its path.

    Raises:
        CheckpointError: there is neither.
    """
    models = known()
    if name in models:
        return models[name]
    folder = Path(name).expanduser()
    if (folder / "config.json").is_file():
        return folder
    raise CheckpointError(
        f"no model '{name}': neither one of {', '.join(sorted(models)) or 'none'} nor a folder with a "
        "config.json; `echo-node model add` brings one"
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


def load(name: str, device: str = "cpu", *, adopt_block_length: int = 0) -> Checkpoint:
    """Load a checkpoint for inference or as the start of a training stage.

    On the CPU the weights become float32, whatever they are stored as; on a GPU bfloat16.

    Args:
        name: of a model, or its folder.
        device: `cpu` or `cuda`.
        adopt_block_length: takes an autoregressive Qwen2.5-VL too, as the start of RAD: it is given this
            block length and a mask token.

    Raises:
        CheckpointError: naming the file, tensor or setting that is missing, truncated or of another kind.
    """
    folder = find(name)
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    facts = facts_of(folder)
    tokenizer = _load_tokenizer(folder)
    had_mask = MASK_TOKEN in tokenizer.get_vocab()
    config = _load_config(folder, facts, tokenizer, adopt_block_length)
    model = _load_weights(folder, config, device)
    if not had_mask and MASK_TOKEN in tokenizer.get_vocab():
        _embed_mask(model, len(tokenizer) - 1)
    model.to(torch.device(device))  # type: ignore[arg-type]
    return Checkpoint(folder, facts, digest(folder), model, tokenizer)


@torch.no_grad()
def _embed_mask(model: EchoForReportGeneration, words: int) -> None:
    """Give the mask token, new to a network of *words* tokens, the mean of their embeddings.

    Its row may be there already: vocabularies are often filled up to a round number.
    """
    mask = model.config.mask
    if mask >= model.config.text.vocab_size:
        model.resize_token_embeddings(mask + 1, mean_resizing=False)
    for module in (model.get_input_embeddings(), model.lm_head):
        table: Any = module.weight
        table[mask] = table[:words].float().mean(0).to(table.dtype)


def _load_tokenizer(folder: Path) -> Any:
    try:
        return AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{folder} has no usable tokeniser") from error


def _load_config(folder: Path, facts: ModelFacts, tokenizer: Any, adopt_block_length: int) -> EchoConfig:
    """Return the configuration, completed from the tokeniser and from what we know of the checkpoint."""
    try:
        config: EchoConfig = EchoConfig.from_pretrained(folder)
    except (OSError, ValueError, TypeError, StrictDataclassError) as error:
        raise CheckpointError(f"{folder / 'config.json'} is not a configuration of Qwen2.5-VL") from error
    if not isinstance(config.text.eos_token_id, int):
        config.text.eos_token_id = tokenizer.eos_token_id
    if config.text.eos_token_id is None:
        raise CheckpointError(f"{folder}: neither config.json nor the tokeniser has an end of sequence")
    if config.mask_token_id is None and MASK_TOKEN not in tokenizer.get_vocab() and adopt_block_length:
        tokenizer.add_special_tokens({"additional_special_tokens": [MASK_TOKEN]})
    if config.mask_token_id is None:
        config.mask_token_id = tokenizer.get_vocab().get(MASK_TOKEN)
    if config.mask_token_id is None:
        raise CheckpointError(
            f"{folder} has no {MASK_TOKEN} in its vocabulary: an autoregressive model, which RAD can adapt "
            "(model.start of a recipe for `echo-node train rad`)"
        )
    config.block_length = config.block_length or facts.block_length or adopt_block_length
    if config.block_length < 1:
        raise CheckpointError(
            f"{folder}: config.json names no block_length; `echo-node model add {folder} --block-length N` "
            "keeps the number that the model was trained with"
        )
    return config


def facts_of(folder: Path) -> ModelFacts:
    """Return what a checkpoint says of itself; of one that says nothing, its folder's name.

    Raises:
        CheckpointError: model.json is not what `ModelFacts.save` writes.
    """
    path = folder / FACTS_FILE
    if not path.is_file():
        return ModelFacts(name=folder.name, version="unknown")
    try:
        return ModelFacts(**json.loads(path.read_text(encoding="utf-8")))
    except (json.JSONDecodeError, TypeError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from error


def _load_weights(folder: Path, config: EchoConfig, device: str) -> EchoForReportGeneration:
    if not any(folder.glob("*.safetensors")):
        raise CheckpointError(f"{folder} has no .safetensors file; other formats are not loaded")
    dtype = torch.float32 if device == "cpu" else torch.bfloat16
    try:
        loaded: Any = EchoForReportGeneration.from_pretrained(
            folder,
            config=config,
            dtype=dtype,
            use_safetensors=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            key_mapping=_OLDER_NAMES,
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
