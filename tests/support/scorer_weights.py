"""Small checkpoints of learned metrics in their published layouts, with random weights."""

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import BertConfig, BertForTokenClassification, BertModel, BertTokenizer

from training.evaluation.metrics.chexbert import CheXbert

WORDS = [
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", ",", ":", "findings", "impression", "the", "heart"),
    *("lung", "lungs", "is", "are", "no", "normal", "enlarged", "clear", "left", "right", "small", "large"),
    *("effusion", "pneumothorax"),
]
TYPES = ("ABNORMALITY", "NON-ABNORMALITY", "ANATOMY", "DISEASE", "NON-DISEASE")
KINDS = ("Anatomy::definitely present", "Observation::definitely present", "Observation::definitely absent")
RELATIONS = ("located_at", "modify")
WIDTH, HIDDEN, SPAN = 16, 8, 4


def _config(labels: Sequence[str] = ("LABEL_0", "LABEL_1")) -> BertConfig:
    return BertConfig(
        vocab_size=len(WORDS), hidden_size=WIDTH, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, id2label=dict(enumerate(labels)),
        label2id={name: i for i, name in enumerate(labels)},
    )  # fmt: skip


def _write_tokenizer(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n", encoding="utf-8")
    BertTokenizer.from_pretrained(folder).save_pretrained(folder)


def _randomise(module: torch.nn.Module, seed: int, std: float = 0.5) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(std=std, generator=generator)


def write_chexbert(folder: Path, *, pickled: bool = False, seed: int = 0) -> Path:
    _write_tokenizer(folder)
    _config().save_pretrained(folder)
    model = CheXbert(_config(), None)
    _randomise(model, seed)
    state = {f"module.{name}": tensor for name, tensor in model.state_dict().items()}
    if pickled:
        torch.save({"epoch": 3, "model_state_dict": state}, folder / "chexbert.pth")
    else:
        save_file(state, folder / "model.safetensors")
    return folder


def write_ratescore(folder: Path, seed: int = 0) -> Path:
    labels = ["O"] + [f"{place}-{kind}" for kind in TYPES for place in "BI"]
    config = _config(labels)
    for name, model in (
        ("RaTE-NER-Deberta", BertForTokenClassification(config)),
        ("BioLORD-2023-C", BertModel(_config())),
    ):
        _write_tokenizer(folder / name)
        _randomise(model, seed, std=1.0)
        model.save_pretrained(folder / name)
    return folder


def write_radgraph(folder: Path, seed: int = 0) -> Path:
    """Write a folder `radgraph-xl` in *folder*, as the published archive unpacks, and return it."""
    root = folder / "radgraph-xl"
    _write_tokenizer(root / "encoder")
    _config().save_pretrained(root / "encoder")
    (root / "vocabulary").mkdir()
    for part, names in (("ner", ("", *KINDS)), ("relation", RELATIONS)):
        path = root / "vocabulary" / f"radgraph-xl__{part}_labels.txt"
        path.write_text("\n".join(names) + "\n", encoding="utf-8")
    settings = {
        "dataset_reader": {"max_span_width": SPAN, "token_indexers": {"bert": {"max_length": 12}}},
        "model": {"modules": {"relation": {"spans_per_word": 0.5}}},
    }
    (root / "config.json").write_text(json.dumps(settings), encoding="utf-8")
    torch.save(_dygie_state(seed), root / "weights.th")
    return root


def _dygie_state(seed: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    span = 2 * WIDTH + 4
    shapes: dict[str, tuple[int, ...]] = {"_endpoint_span_extractor._span_width_embedding.weight": (SPAN, 4)}
    pruner = "_relation._mention_pruners.radgraph-xl__relation_labels._scorer"
    ner = "_ner._ner_scorers.radgraph-xl__ner_labels"
    feed = "_relation._relation_feedforwards.radgraph-xl__relation_labels"
    for name, wide, out in (
        (f"{ner}.0._module._linear_layers.0", span, HIDDEN),
        (f"{ner}.0._module._linear_layers.1", HIDDEN, HIDDEN),
        (f"{ner}.1._module", HIDDEN, len(KINDS)),
        (f"{pruner}.0._module._linear_layers.0", span, HIDDEN),
        (f"{pruner}.1._module", HIDDEN, 1),
        (f"{feed}._linear_layers.0", 3 * span, HIDDEN),
        ("_relation._relation_scorers.radgraph-xl__relation_labels", HIDDEN, len(RELATIONS)),
    ):
        shapes |= {f"{name}.weight": (out, wide), f"{name}.bias": (out,)}
    encoder = BertModel(_config())
    _randomise(encoder, seed)
    state = {name: torch.randn(shape, generator=generator) * 0.5 for name, shape in shapes.items()}
    prefix = "_embedder.token_embedder_bert._matched_embedder.transformer_model."
    return state | {f"{prefix}{name}": tensor for name, tensor in encoder.state_dict().items()}
