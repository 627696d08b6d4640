"""CheXbert F1 (Smit et al., EMNLP 2020) and SembScore (Yu et al., Patterns 2023).

CheXbert labels 14 observations in a report. Its F1 compares the labels of draft and reference;
uncertain counts as present. SembScore is the cosine similarity of CheXbert's embeddings of draft
and reference.

The folder must contain `chexbert.pth` as published (or the same tensors as model.safetensors), and
config.json and the tokeniser of bert-base-uncased. Tested with random weights in that layout, not
yet with the published weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import AutoTokenizer, BertConfig, BertModel

from echo_node.errors import CheckpointError
from training.evaluation.metrics.weights import SAFE, from_transformers, read_state, require

OBSERVATIONS = (
    "Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Opacity", "Lung Lesion", "Edema", "Consolidation",
    "Pneumonia", "Atelectasis", "Pneumothorax", "Pleural Effusion", "Pleural Other", "Fracture",
    "Support Devices", "No Finding",
)  # fmt: skip
FIVE = ("Cardiomegaly", "Edema", "Consolidation", "Atelectasis", "Pleural Effusion")

_PICKLED = "chexbert.pth"
_BLANK, _POSITIVE, _NEGATIVE, _UNCERTAIN = range(4)
_BATCH = 32
_LONGEST = 512
_NAME = "chexbert"

_Flags = NDArray[np.bool_]


class CheXbert(nn.Module):
    """CheXbert labeller: BERT with a linear head on its first token for each observation."""

    def __init__(self, config: BertConfig, tokenizer: Any) -> None:
        super().__init__()
        self.bert = BertModel(config)
        width = config.hidden_size
        heads = [nn.Linear(width, 4) for _ in OBSERVATIONS[:-1]]
        self.linear_heads = nn.ModuleList([*heads, nn.Linear(width, 2)])
        self._tokenizer = tokenizer

    @classmethod
    def load(cls, folder: Path) -> CheXbert:
        """Load the labeller from a folder.

        Raises:
            CheckpointError: a file or tensor is missing or does not fit.
        """
        require(folder, _NAME, (SAFE, _PICKLED), ("config.json",), ("vocab.txt", "tokenizer.json"))
        config = from_transformers(BertConfig.from_pretrained, folder, _NAME)
        tokenizer = from_transformers(AutoTokenizer.from_pretrained, folder, _NAME)
        labeller = cls(config, tokenizer)
        state = read_state(folder, _NAME, _PICKLED)
        named = {name.removeprefix("module."): tensor for name, tensor in state.items()}
        named.pop("bert.embeddings.position_ids", None)  # stored by older versions of transformers
        try:
            labeller.load_state_dict(named)
        except RuntimeError as error:
            raise CheckpointError(
                f"{_NAME}: the tensors in {folder} are not those of CheXbert: {error}"
            ) from error
        return labeller.train(mode=False)

    @torch.inference_mode()
    def read(self, texts: Sequence[str]) -> tuple[_Flags, Tensor]:
        """Return the observations present in each text (N, 14) and its embedding (N, width)."""
        present, embeddings = [], []
        for at in range(0, len(texts), _BATCH):
            batch = [" ".join(text.split()) for text in texts[at : at + _BATCH]]
            inputs = self._tokenizer(
                batch, padding=True, truncation=True, max_length=_LONGEST, return_tensors="pt"
            )
            hidden = self.bert(inputs["input_ids"], attention_mask=inputs["attention_mask"])[0][:, 0]
            chosen = torch.stack([head(hidden).argmax(-1) for head in self.linear_heads], dim=1)
            present.append(((chosen == _POSITIVE) | (chosen == _UNCERTAIN)).numpy())
            embeddings.append(hidden)
        return np.concatenate(present), torch.cat(embeddings)

    def __call__(self, drafts: Sequence[str], references: Sequence[str]) -> dict[str, float]:
        """Return F1 over 14 and 5 observations, micro and macro, and SembScore (mean cosine)."""
        drafted, draft_embeddings = self.read(drafts)
        present, reference_embeddings = self.read(references)
        five = [OBSERVATIONS.index(name) for name in FIVE]
        scores: dict[str, float] = {}
        for name, columns in (("14", list(range(len(OBSERVATIONS)))), ("5", five)):
            micro, macro = _f1(drafted[:, columns], present[:, columns])
            scores |= {f"chexbert_f1_micro_{name}": micro, f"chexbert_f1_macro_{name}": macro}
        cosine = nn.functional.cosine_similarity(draft_embeddings, reference_embeddings)
        return scores | {"semb_score": float(cosine.mean())}


def _f1(drafted_NC: _Flags, present_NC: _Flags) -> tuple[float, float]:
    """Return micro and macro F1; as published, an observation without any positive counts as 0."""
    right_C = (drafted_NC & present_NC).sum(0)
    stated_C = drafted_NC.sum(0) + present_NC.sum(0)
    micro = 2 * right_C.sum() / max(1, stated_C.sum())
    return float(micro), float((2 * right_C / np.maximum(1, stated_C)).mean())
