"""Checkpoints on disk: how to find them, load them, and identify them by a digest.

A checkpoint is a folder with config.json, model.safetensors (or shards), the tokeniser's files,
preprocessor_config.json and our own model.json (`ModelFacts`). Weights are loaded from safetensors
only, and code in a checkpoint is never run.
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
_OLDER_NAMES = {  # tensor names of transformers before 4.52
    r"^visual": "model.visual",
    r"^model(?!\.(language_model|visual))": "model.language_model",
}
SHIPPED = Path(__file__).resolve().parent.parent / "models"


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """Facts about a checkpoint beyond its configuration, stored in model.json.

    Attributes:
        name: name of the model.
        version: version of the weights.
        demonstration: whether drafts must state that they are not for clinical use.
        language: language of the reports, as an RFC 5646 tag.
        teacher: name or folder of the model that this one was distilled from; empty if none.
        block_length: number of tokens per block, if config.json does not state it; otherwise 0.
        licence: licence of the weights, as their publisher states it; empty if unknown.
        origin: source of the weights, such as a hub's id and revision.
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
    """A loaded checkpoint.

    Attributes:
        folder: folder that it was loaded from.
        facts: facts of the model.
        digest: SHA-256 of weights, configuration and tokeniser.
        model: network.
        tokenizer: tokeniser.
    """

    folder: Path
    facts: ModelFacts
    digest: str
    model: EchoForReportGeneration
    tokenizer: Any


def library() -> Path:
    """Return the folder of added models: ECHO_NODE_MODELS, or a default in the home folder."""
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(os.environ.get("ECHO_NODE_MODELS") or f"{data}/echo-node/models").expanduser()


def known() -> dict[str, Path]:
    """Return the folders of all shipped and added models, by name."""
    folders = [p.parent for place in (library(), SHIPPED) for p in sorted(place.glob("[!.]*/config.json"))]
    return {folder.name: folder for folder in folders}


def find_checkpoint(name: str) -> Path:
    """Return the folder of a checkpoint, given a model's name or a path.

    Raises:
        CheckpointError: there is no such model and no such checkpoint.
    """
    models = known()
    if name in models:
        return models[name]
    folder = Path(name).expanduser()
    if (folder / "config.json").is_file():
        return folder
    raise CheckpointError(
        f"no model '{name}': it is not a known model ({', '.join(sorted(models)) or 'there are none'}), and "
        "not a folder with a config.json; `echo-node model add` adds a model"
    )


def digest(folder: Path) -> str:
    """Return the SHA-256 of a checkpoint's weights, configuration and tokeniser, in hexadecimal."""
    total = hashlib.sha256()
    names = ("config.json", "tokenizer.json", "preprocessor_config.json")
    for path in sorted([*folder.glob("*.safetensors"), *(folder / n for n in names)]):
        if path.is_file():
            with path.open("rb") as file:
                total.update(path.name.encode() + b"\0" + hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()


def load(name: str, device: str = "cpu", *, adopt_block_length: int = 0) -> Checkpoint:
    """Load a checkpoint for inference or as the start of a training stage.

    The weights become float32 on a CPU and bfloat16 on a GPU, regardless of their type on disk.

    Args:
        name: name of a model, or its folder.
        device: `cpu` or `cuda`.
        adopt_block_length: block length for an autoregressive Qwen2.5-VL, from which RAD can start.
            Such a model also gets a mask token. 0 refuses it.

    Raises:
        CheckpointError: a file, tensor or setting is missing, truncated or invalid; the message
            names it.
    """
    folder = find_checkpoint(name)
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
    """Set the embedding of a new mask token to the mean embedding of the *words* other tokens.

    The row may already exist, because vocabularies are often padded to a round number.
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
    """Return the configuration, completed from the tokeniser and the checkpoint's facts."""
    try:
        config: EchoConfig = EchoConfig.from_pretrained(folder)
    except (OSError, ValueError, TypeError, StrictDataclassError) as error:
        raise CheckpointError(f"{folder / 'config.json'} is not a Qwen2.5-VL configuration") from error
    if not isinstance(config.text.eos_token_id, int):
        config.text.eos_token_id = tokenizer.eos_token_id
    if config.text.eos_token_id is None:
        raise CheckpointError(
            f"{folder}: neither config.json nor the tokeniser defines an end-of-sequence token"
        )
    if config.mask_token_id is None and MASK_TOKEN not in tokenizer.get_vocab() and adopt_block_length:
        tokenizer.add_special_tokens({"additional_special_tokens": [MASK_TOKEN]})
    if config.mask_token_id is None:
        config.mask_token_id = tokenizer.get_vocab().get(MASK_TOKEN)
    if config.mask_token_id is None:
        raise CheckpointError(
            f"{folder} has no {MASK_TOKEN} in its vocabulary: it is an autoregressive model, which RAD "
            "can adapt (`echo-node train rad`, with model.start in the recipe)"
        )
    config.block_length = config.block_length or facts.block_length or adopt_block_length
    if config.block_length < 1:
        raise CheckpointError(
            f"{folder}: config.json has no block_length; run `echo-node model add {folder} --block-length N` "
            "with the block length that the model was trained with"
        )
    return config


def facts_of(folder: Path) -> ModelFacts:
    """Return the facts of a checkpoint. Without model.json, only the name is known: the folder's.

    Raises:
        CheckpointError: model.json is not in the format of `ModelFacts.save`.
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
        raise CheckpointError(f"{folder} has no .safetensors file; other formats are not supported")
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
