"""Checkpoints of others: old names, flat configurations, shards, no facts, no mask token."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.small_checkpoint import write_checkpoint
from transformers import AutoConfig, AutoModelForImageTextToText

from echo_node.errors import CheckpointError
from echo_node.model import checkpoint
from echo_node.model.checkpoint import ModelFacts
from echo_node.model.config import MASK_TOKEN, EchoConfig
from echo_node.model.report_generation import EchoForReportGeneration


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_checkpoint(tmp_path / "small")


def _older_names(folder: Path) -> None:
    """`visual.*` and `model.*`, as transformers wrote them before 4.52."""
    tensors = load_file(folder / "model.safetensors")
    renamed = {
        name.replace("model.visual.", "visual.").replace("model.language_model.", "model."): tensor
        for name, tensor in tensors.items()
    }
    assert renamed.keys() != tensors.keys()
    save_file(renamed, folder / "model.safetensors", metadata={"format": "pt"})


def _flat_config(folder: Path, *, mask: bool = True) -> None:
    """Move the text settings to the top, with `rope_scaling` and without a block length."""
    config = json.loads((folder / "config.json").read_text())
    text = config.pop("text_config")
    rotary = text.pop("rope_parameters")
    for name in ("model_type", "dtype", "layer_types"):
        text.pop(name, None)
    config.pop("dtype")
    config.pop("block_length")
    if not mask:
        config.pop("mask_token_id")
    config |= text
    config["rope_theta"] = rotary["rope_theta"]
    config["rope_scaling"] = {"type": "mrope", "mrope_section": rotary["mrope_section"]}
    config["vision_config"]["model_type"] = "qwen2_5_vl"
    config |= {
        "model_type": "qwen2_5_vl",
        "architectures": ["EchoForConditionalGeneration"],
        "auto_map": {"AutoModel": "modeling_echo.EchoForConditionalGeneration"},
        "torch_dtype": "float32",
    }
    (folder / "config.json").write_text(json.dumps(config))


def _shards(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    names = sorted(tensors)
    files: dict[str, str] = {}
    for number, part in enumerate((names[::2], names[1::2]), 1):
        file = f"model-{number:05}-of-00002.safetensors"
        save_file({name: tensors[name].float() for name in part}, folder / file, metadata={"format": "pt"})
        files |= dict.fromkeys(part, file)
    index = {"metadata": {"total_size": 0}, "weight_map": files}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "model.safetensors").unlink()


def _same_weights(one: EchoForReportGeneration, other: EchoForReportGeneration) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("older", [False, True])
@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("shards", [False, True])
def test_a_published_layout_loads_to_the_same_network(
    folder: Path, older: bool, flat: bool, shards: bool
) -> None:
    wanted = checkpoint.load(str(folder)).model
    if older:
        _older_names(folder)
    if flat:
        _flat_config(folder)
        ModelFacts(folder.name, "unknown", block_length=8).save(folder)
    if shards:
        _shards(folder)
    loaded = checkpoint.load(str(folder)).model
    assert _same_weights(wanted, loaded)
    assert loaded.config.block_length == 8
    assert loaded.config.end_of_sequence == wanted.config.end_of_sequence
    rotary = loaded.config.text.rope_parameters
    assert rotary["mrope_section"] == wanted.config.text.rope_parameters["mrope_section"]
    assert rotary["rope_theta"] == wanted.config.text.rope_parameters["rope_theta"]


def test_the_mask_is_found_in_the_vocabulary_if_the_configuration_does_not_say(folder: Path) -> None:
    wanted = checkpoint.load(str(folder)).model.config.mask
    _flat_config(folder, mask=False)
    ModelFacts("small", "1", block_length=4).save(folder)
    loaded = checkpoint.load(str(folder)).model
    assert loaded.config.mask == wanted
    assert loaded.config.block_length == 4


def test_an_absent_block_length_is_named_with_what_to_do(folder: Path) -> None:
    _flat_config(folder)
    with pytest.raises(CheckpointError, match=r"block_length.*--block-length"):
        checkpoint.load(str(folder))


def _without_mask_token(folder: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        text = (folder / name).read_text(encoding="utf-8")
        (folder / name).write_text(text.replace(MASK_TOKEN, "<|OTHER|>"), encoding="utf-8")
    _flat_config(folder, mask=False)


def test_a_vocabulary_without_the_mask_is_refused_for_drafting(folder: Path) -> None:
    _without_mask_token(folder)
    with pytest.raises(CheckpointError, match=r"no <\|MASK\|> in its vocabulary.*RAD"):
        checkpoint.load(str(folder))


def test_an_autoregressive_model_is_given_a_mask_and_a_block_length_to_start_rad_from(folder: Path) -> None:
    words = checkpoint.load(str(folder)).model.config.text.vocab_size
    _without_mask_token(folder)
    adopted = checkpoint.load(str(folder), adopt_block_length=4)
    assert adopted.model.config.block_length == 4
    assert adopted.model.config.mask == adopted.tokenizer.convert_tokens_to_ids(MASK_TOKEN) == words
    assert adopted.model.lm_head.weight.shape[0] == words + 1


def test_transformers_auto_classes_know_the_model(folder: Path) -> None:
    assert isinstance(AutoConfig.from_pretrained(folder), EchoConfig)
    assert isinstance(AutoModelForImageTextToText.from_pretrained(folder), EchoForReportGeneration)


def test_a_saved_model_loads_again_as_it_was(folder: Path, tmp_path: Path) -> None:
    loaded = checkpoint.load(str(folder))
    loaded.model.save_pretrained(tmp_path / "again")
    loaded.tokenizer.save_pretrained(tmp_path / "again")
    assert _same_weights(checkpoint.load(str(tmp_path / "again")).model, loaded.model)
