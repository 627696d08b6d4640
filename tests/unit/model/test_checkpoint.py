"""Checkpoints: a round trip, and an error that names each kind of damage."""

import json
import os
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file
from support.small_checkpoint import write_checkpoint

from echo_node.errors import CheckpointError
from echo_node.model import checkpoint


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_checkpoint(tmp_path / "small")


def test_a_written_checkpoint_loads_with_its_facts(folder: Path) -> None:
    loaded = checkpoint.load(str(folder))
    assert loaded.facts.name == "small"
    assert loaded.facts.demonstration
    assert loaded.model.config.block_length == 8
    assert not loaded.model.training
    assert loaded.tokenizer.convert_tokens_to_ids("<|MASK|>") == loaded.model.config.mask


def test_the_digest_follows_the_content_and_not_the_place(folder: Path, tmp_path: Path) -> None:
    other = write_checkpoint(tmp_path / "elsewhere")
    assert checkpoint.digest(folder) == checkpoint.digest(other)
    different = write_checkpoint(tmp_path / "different", seed=1)
    assert checkpoint.digest(folder) != checkpoint.digest(different)


def test_an_unknown_name_tells_what_there_is() -> None:
    with pytest.raises(CheckpointError, match=r"no model 'nothing'.*echo-demo"):
        checkpoint.load("nothing")


def test_a_missing_tensor_is_named(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    del tensors["model.language_model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"missing.*layers\.1\.mlp\.up_proj"):
        checkpoint.load(str(folder))


def test_an_unexpected_tensor_is_named(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors["model.language_model.layers.9.extra"] = tensors["model.language_model.norm.weight"].clone()
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"unexpected.*layers\.9\.extra"):
        checkpoint.load(str(folder))


def test_a_truncated_file_is_refused(folder: Path) -> None:
    weights = folder / "model.safetensors"
    os.truncate(weights, weights.stat().st_size // 2)
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        checkpoint.load(str(folder))


def test_a_tensor_of_another_shape_is_refused(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["intermediate_size"] = 64
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="mlp"):
        checkpoint.load(str(folder))


def test_without_an_end_of_sequence_anywhere_it_is_refused(folder: Path) -> None:
    for name, part, key in (
        ("config.json", "text_config", "eos_token_id"),
        ("tokenizer_config.json", None, "eos_token"),
    ):
        stored = json.loads((folder / name).read_text())
        (stored[part] if part else stored)[key] = None
        (folder / name).write_text(json.dumps(stored))
    with pytest.raises(CheckpointError, match="end-of-sequence token"):
        checkpoint.load(str(folder))


def test_other_formats_are_not_loaded(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=r"no \.safetensors"):
        checkpoint.load(str(folder))


def test_a_missing_tokeniser_is_named(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").unlink()
    with pytest.raises(CheckpointError, match="tokeniser"):
        checkpoint.load(str(folder))
