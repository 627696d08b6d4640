"""RaTEScore (Zhao et al., EMNLP 2024): entities, matched by meaning and type.

Each entity of one text is compared with the most similar entity of the other text. The weight of a
pair depends on the types of both, and a pair of an affirmed and a denied finding is discounted. The
score is the harmonic mean of both directions. `ratescore` is the published score (affinities for
long reports). `ratescore_positive_only` ignores the entities of the two negative types, NON-DISEASE
and NON-ABNORMALITY, so that lists of "no ..." do not raise it.

The folder must contain the two published models under their names: `RaTE-NER-Deberta` and
`BioLORD-2023-C`. The rules were compared with the package of the authors (RaTEScore 0.6.0, MIT) on
random weights. The published weights were not tested. Neither was sentence splitting, for which the
package uses medspaCy and this module uses rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModel, AutoModelForTokenClassification, AutoTokenizer

from echo_node.report_text.draft_sections import split_sections
from training.evaluation.metrics.weights import SAFE, from_transformers, require

_NAME = "ratescore"
_RECOGNISER, _ENCODER = "RaTE-NER-Deberta", "BioLORD-2023-C"
_TYPES = ("ABNORMALITY", "ANATOMY", "DISEASE", "NON-ABNORMALITY", "NON-DISEASE")
_NEGATIVE = ("NON-ABNORMALITY", "NON-DISEASE")
_DISCOUNT = 0.8716553966489615
_AFFINITY = (  # of an entity (row) and its match (column), ordered as _TYPES; RaTEScore 0.6.0, "long"
    (0.4276119164393705, 0.6240929990607657, 0.0034478181112993847, 0.5431049700217344, 0.27005425386213877),
    (0.7487824274337533, 0.2856134859160784, 0.4592143222158069, 0.02097055139911715, 0.00013736314126696204),
    (0.8396510075734789, 0.9950209388542061, 0.8460555030578727, 0.9820689020512646, 0.3789136708096537),
    (0.16546764653692908, 0.018670610691852826, 0.719397354576018, 0.0009357166071730684, 0.0927333564267591),
    (0.7759420231214385, 0.1839139293714062, 0.10073046076318157, 0.03860183811876373, 0.34065681486566446),
)
_NOTHING_FOUND = 0.5
"""Published score of a pair in which one text has no entities."""

_BATCH = 32
_LONGEST = 512
_LONGEST_ENTITY = 30


@dataclass(frozen=True, slots=True)
class Entities:
    """Entities of a text: their types, and their normalised embeddings (E, width)."""

    types: tuple[str, ...]
    embeddings: Tensor


class RaTEScore:
    """RaTEScore metric: a recogniser of entities and an encoder of their meaning."""

    def __init__(self, recogniser: Any, encoder: Any) -> None:
        """Combine the recogniser and the encoder, each a pair (model, tokeniser)."""
        self._recogniser, self._recogniser_tokenizer = recogniser
        self._encoder, self._encoder_tokenizer = encoder

    @classmethod
    def load(cls, folder: Path) -> RaTEScore:
        """Load both models from a folder.

        Raises:
            CheckpointError: a model is missing or does not fit.
        """
        require(folder, _NAME, (_RECOGNISER,), (_ENCODER,))
        return cls(
            _load(folder / _RECOGNISER, AutoModelForTokenClassification), _load(folder / _ENCODER, AutoModel)
        )

    def __call__(self, drafts: Sequence[str], references: Sequence[str]) -> dict[str, float]:
        """Return the mean of both scores over the studies."""
        stock, positive = [], []
        for draft, reference in zip(drafts, references, strict=True):
            drafted, stated = self.entities(draft), self.entities(reference)
            stock.append(pair_score(drafted, stated, positive_only=False))
            positive.append(pair_score(drafted, stated, positive_only=True))
        return {_NAME: _mean(stock), f"{_NAME}_positive_only": _mean(positive)}

    def entities(self, text: str) -> Entities:
        """Return the entities of a text with their embeddings."""
        named = self._recognise(_sentences(text))
        if not named:
            return Entities((), torch.zeros(0, 1))
        inputs = self._encoder_tokenizer(
            [words for words, _ in named],
            padding=True,
            truncation=True,
            max_length=_LONGEST_ENTITY,
            return_tensors="pt",
        )
        with torch.inference_mode():
            embeddings = self._encoder(**inputs).last_hidden_state[:, 0]
        return Entities(tuple(kind for _, kind in named), torch.nn.functional.normalize(embeddings, dim=1))

    def _recognise(self, sentences: Sequence[str]) -> list[tuple[str, str]]:
        names = self._recogniser.config.id2label
        entities = []
        for at in range(0, len(sentences), _BATCH):
            inputs = self._recogniser_tokenizer(
                list(sentences[at : at + _BATCH]),
                padding=True,
                truncation=True,
                max_length=_LONGEST,
                return_tensors="pt",
            )
            with torch.inference_mode():
                labels = self._recogniser(**inputs).logits.argmax(-1)
            for ids, mask, chosen in zip(inputs["input_ids"], inputs["attention_mask"], labels, strict=True):
                length = int(mask.sum())
                tags = [names[int(label)] for label in chosen[1:length]]
                inner = ids[1 : length - 1].tolist()
                entities += [
                    (self._recogniser_tokenizer.decode(inner[start:end]).strip(), kind)
                    for start, end, kind in spans(tags[:-1], tags[-1])
                ]
        return entities


def spans(tags: Sequence[str], behind: str) -> list[tuple[int, int, str]]:
    """Return [start, end) and type of each entity in BIO tags; an I without a B starts no entity.

    Args:
        tags: tags of the tokens of a sentence.
        behind: tag of the separator after the tokens. The published rule drops an entity that
            continues into the separator if the tag right before the entity is not O. Comparable
            scores need the same rule.
    """
    entities = []
    for start, tag in enumerate(tags):
        if tag.startswith("B-"):
            end = start + 1
            while end < len(tags) and tags[end].startswith("I-"):
                end += 1
            continues = end == len(tags) and behind.startswith("I-")
            if not (continues and start > 0 and tags[start - 1] != "O"):
                entities.append((start, end, tag.removeprefix("B-")))
    return entities


def pair_score(drafted: Entities, stated: Entities, *, positive_only: bool) -> float:
    """Return the score of one draft against its reference."""
    if not drafted.types or not stated.types:
        return _NOTHING_FOUND
    precision = _matched(stated, drafted, positive_only=positive_only)
    recall = _matched(drafted, stated, positive_only=positive_only)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _matched(entities: Entities, others: Entities, *, positive_only: bool) -> float:
    """Return the weighted mean similarity of entities to their most similar counterparts."""
    similarity, place = (entities.embeddings @ others.embeddings.T).max(1)
    total = weights = 0.0
    for kind, value, at in zip(entities.types, similarity.tolist(), place.tolist(), strict=True):
        match = others.types[at]
        ignored = positive_only and kind in _NEGATIVE
        weight = 0.0 if ignored else _AFFINITY[_TYPES.index(kind)][_TYPES.index(match)]
        total += value * weight * (_DISCOUNT if _opposite(kind, match) else 1.0)
        weights += weight
    return total / weights if weights else 0.0


def _opposite(kind: str, match: str) -> bool:
    """Return whether one of the two affirms a finding and the other denies one."""
    return "ANATOMY" not in (kind, match) and (kind in _NEGATIVE) != (match in _NEGATIVE)


def _sentences(text: str) -> list[str]:
    sections = split_sections(text)
    return [span.text for span in (*sections.findings, *sections.impression)]


def _load(folder: Path, kind: Any) -> tuple[Any, Any]:
    require(folder, _NAME, (SAFE,), ("config.json",))
    model = from_transformers(kind.from_pretrained, folder, _NAME, use_safetensors=True)
    return model.eval(), from_transformers(AutoTokenizer.from_pretrained, folder, _NAME)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / max(1, len(values))
