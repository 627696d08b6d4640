"""RadGraph F1 (Jain et al., NeurIPS 2021; Delbrouck et al., EMNLP Findings 2022).

The metric compares the entities and relations of draft and reference. DyGIE++ (Wadden et al., EMNLP
2019) extracts them: it scores every short span of words for each kind of entity, and pairs of the
best spans for each relation.

The folder, named `radgraph` or `radgraph-xl`, must contain the content of the published archive
(config.json, vocabulary/ and weights.th, or the same tensors as model.safetensors) and encoder/,
the configuration and tokeniser of the BERT that config.json names. Entities, relations and scores
were compared with the package of the authors (radgraph 0.1.18, MIT, which does not run on this
version of transformers) on random weights. They were not compared on the published weights.

Shapes: W words, P word pieces, S spans, K spans that are kept, D width.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import linear
from transformers import AutoConfig, AutoModel, AutoTokenizer

from echo_node.errors import CheckpointError
from training.evaluation.metrics.weights import SAFE, from_transformers, read_state, require

Words: TypeAlias = tuple[int, int]
"""A span of words: index of its first and of its last word."""

_NAME = "radgraph"
_PICKLED = "weights.th"
_ENCODER = "encoder"
_ENCODER_TENSORS = "_embedder.token_embedder_bert._matched_embedder.transformer_model."
_WORD_OR_PUNCTUATION = re.compile(r"\w+|[^\w\s]+")
_FIRST_RADGRAPH = re.compile(r"(?<! )(?=[/,:.!?()])|(?<=[/,:.!?()])(?! )")
_APART = ((").", ") ."), ("%.", "% ."), (".'", ". '"), ("%,", "% ,"), ("%)", "% )"))


@dataclass(frozen=True, slots=True)
class ReportGraph:
    """Entities and relations of a report.

    Attributes:
        entities: entities as (words, label).
        relations: relations as (subject, name, object), with indices into *entities*.
    """

    entities: tuple[tuple[str, str], ...]
    relations: tuple[tuple[int, str, int], ...]


@dataclass(frozen=True, slots=True)
class _Layout:
    """Content of config.json and vocabulary/."""

    kinds: tuple[str, ...]
    relations: tuple[str, ...]
    max_span_width: int
    max_pieces: int
    spans_per_word: float


class RadGraph:
    """Extractor of entities and relations."""

    def __init__(
        self, name: str, layout: _Layout, state: Mapping[str, Tensor], encoder: Any, tokenizer: Any
    ) -> None:
        self._name, self._layout, self._state = name, layout, state
        self._encoder, self._tokenizer = encoder, tokenizer

    @classmethod
    def load(cls, folder: Path) -> RadGraph:
        """Load the extractor from a folder.

        Raises:
            CheckpointError: a file or tensor is missing or does not fit.
        """
        require(folder, _NAME, (SAFE, _PICKLED), ("config.json",), ("vocabulary",), (_ENCODER,))
        name, layout = folder.name, _read_layout(folder)
        state = read_state(folder, _NAME, _PICKLED)
        config = from_transformers(AutoConfig.from_pretrained, folder / _ENCODER, _NAME)
        tokenizer = from_transformers(AutoTokenizer.from_pretrained, folder / _ENCODER, _NAME)
        encoder = AutoModel.from_config(config)
        tensors = {
            key.removeprefix(_ENCODER_TENSORS): value
            for key, value in state.items()
            if key.startswith(_ENCODER_TENSORS) and not key.endswith("position_ids")
        }
        try:
            encoder.load_state_dict(tensors)
        except RuntimeError as error:
            raise CheckpointError(f"{_NAME}: {folder} does not fit {folder / _ENCODER}: {error}") from error
        return cls(name, layout, state, encoder.eval(), tokenizer)

    def __call__(self, drafts: Sequence[str], references: Sequence[str]) -> dict[str, float]:
        """Return the mean F1 at the three published levels: simple, partial and complete."""
        totals = dict.fromkeys((f"{_NAME}_simple", f"{_NAME}_partial", f"{_NAME}_complete"), 0.0)
        for draft, reference in zip(drafts, references, strict=True):
            scores = graph_f1(self.read(draft), self.read(reference))
            totals = {name: total + f1 for (name, total), f1 in zip(totals.items(), scores, strict=True)}
        return {name: total / max(1, len(drafts)) for name, total in totals.items()}

    @torch.inference_mode()
    def read(self, text: str) -> ReportGraph:
        """Return the entities and relations of a report."""
        tokens = _words(text, self._name)
        if not tokens:
            return ReportGraph((), ())
        spans = [
            (first, last)
            for first in range(len(tokens))
            for last in range(first, min(len(tokens), first + self._layout.max_span_width))
        ]
        span_SD = self._embed_spans(self._embed(tokens), spans)
        entities = self._entities(span_SD, spans)
        places = {span: place for place, (span, _) in enumerate(entities)}
        relations = [
            (places[subject], relation, places[target])
            for subject, relation, target in self._relations(span_SD, spans, len(tokens))
            if subject in places and target in places
        ]
        named = [(" ".join(tokens[first : last + 1]), kind) for (first, last), kind in entities]
        return ReportGraph(tuple(named), tuple(relations))

    def _embed(self, tokens: Sequence[str]) -> Tensor:
        """Return each word as the mean of its pieces (W, D); long reports are encoded in parts."""
        pieces = [self._tokenizer(word, add_special_tokens=False)["input_ids"] for word in tokens]
        flat = [piece for of_word in pieces for piece in of_word]
        first, last = self._tokenizer.cls_token_id, self._tokenizer.sep_token_id
        room = self._layout.max_pieces - 2
        parts = []
        for at in range(0, len(flat), room):
            ids = torch.tensor([[first, *flat[at : at + room], last]])
            parts.append(self._encoder(ids).last_hidden_state[0, 1:-1])
        piece_PD = torch.cat(parts) if parts else torch.zeros(0, self._encoder.config.hidden_size)
        ends = torch.tensor([len(of_word) for of_word in pieces]).cumsum(0).tolist()
        starts = [0, *ends[:-1]]
        return torch.stack(
            [
                piece_PD[start:end].sum(0) / max(1, end - start)
                for start, end in zip(starts, ends, strict=True)
            ]
        )

    def _embed_spans(self, word_WD: Tensor, spans: Sequence[Words]) -> Tensor:
        """Return the concatenated embeddings of first word, last word and width of each span."""
        first_S, last_S = torch.tensor(spans).unbind(1)
        width = self._state["_endpoint_span_extractor._span_width_embedding.weight"][last_S - first_S]
        return torch.cat([word_WD[first_S], word_WD[last_S], width], 1)

    def _entities(self, span_SD: Tensor, spans: Sequence[Words]) -> list[tuple[Words, str]]:
        prefix = f"_ner._ner_scorers.{self._name}__ner_labels."
        scores = self._linear(self._feed(span_SD, f"{prefix}0._module."), f"{prefix}1._module")
        best = _with_null_class(scores).argmax(-1).tolist()
        return [(span, self._layout.kinds[kind - 1]) for span, kind in zip(spans, best, strict=True) if kind]

    def _relations(
        self, span_SD: Tensor, spans: Sequence[Words], words: int
    ) -> list[tuple[Words, str, Words]]:
        namespace = f"{self._name}__relation_labels"
        prefix = f"_relation._mention_pruners.{namespace}._scorer."
        mention_S = self._linear(self._feed(span_SD, f"{prefix}0._module."), f"{prefix}1._module")[:, 0]
        keep = min(max(1, math.ceil(words * self._layout.spans_per_word)), len(spans))
        kept_K = mention_S.topk(keep).indices.sort().values
        span_KD, mention_K = span_SD[kept_K], mention_S[kept_K]
        subject_KKD = span_KD[:, None].expand(-1, keep, -1)
        target_KKD = span_KD[None].expand(keep, -1, -1)
        pair = torch.cat([subject_KKD, target_KKD, subject_KKD * target_KKD], -1)
        hidden = self._feed(pair, f"_relation._relation_feedforwards.{namespace}.")
        scores = self._linear(hidden, f"_relation._relation_scorers.{namespace}")
        best_KK = _with_null_class(scores + (mention_K[:, None] + mention_K[None])[..., None]).argmax(-1)
        kept = [spans[place] for place in kept_K.tolist()]
        return [
            (kept[subject], self._layout.relations[int(best_KK[subject, target]) - 1], kept[target])
            for subject, target in best_KK.nonzero().tolist()
        ]

    def _feed(self, values: Tensor, prefix: str) -> Tensor:
        """Run a feed-forward network with a ReLU after every layer."""
        layer = 0
        while f"{prefix}_linear_layers.{layer}.weight" in self._state:
            values = self._linear(values, f"{prefix}_linear_layers.{layer}").relu()
            layer += 1
        return values

    def _linear(self, values: Tensor, name: str) -> Tensor:
        return linear(values, self._state[f"{name}.weight"], self._state[f"{name}.bias"])


def graph_f1(drafted: ReportGraph, stated: ReportGraph) -> tuple[float, float, float]:
    """Return the published F1 of one draft: simple, partial and complete; 0 without entities."""
    if not drafted.entities or not stated.entities:
        return 0.0, 0.0, 0.0
    levels: tuple[Callable[[ReportGraph], set[Any]], ...] = (_simple, _partial, _complete)
    simple, partial, complete = (_f1(level(drafted), level(stated)) for level in levels)
    return simple, partial, complete


def _simple(graph: ReportGraph) -> set[Any]:
    return set(graph.entities)


def _partial(graph: ReportGraph) -> set[Any]:
    related = {subject for subject, _, _ in graph.relations}
    return {(*entity, place in related) for place, entity in enumerate(graph.entities)}


def _complete(graph: ReportGraph) -> set[Any]:
    related = {subject for subject, _, _ in graph.relations}
    alone = {entity for place, entity in enumerate(graph.entities) if place not in related}
    return alone | {
        (
            graph.entities[subject][0].lower(),
            graph.entities[subject][1],
            relation,
            graph.entities[target][0].lower(),
        )
        for subject, relation, target in graph.relations
    }


def _f1(drafted: set[Any], stated: set[Any]) -> float:
    return 2 * len(drafted & stated) / (len(drafted) + len(stated))


def _with_null_class(scores: Tensor) -> Tensor:
    """Prepend the score of the null class, 0."""
    return torch.cat([scores.new_zeros(*scores.shape[:-1], 1), scores], -1)


def _words(text: str, name: str) -> list[str]:
    if name == "radgraph":
        return _FIRST_RADGRAPH.sub(" ", text).split()
    spaced = " ".join(_WORD_OR_PUNCTUATION.findall(text))
    for together, apart in _APART:
        spaced = spaced.replace(together, apart)
    return spaced.split()


def _read_layout(folder: Path) -> _Layout:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        reader, model = config["dataset_reader"], config["model"]
        kinds, relations = (
            (folder / "vocabulary" / f"{folder.name}__{part}_labels.txt")
            .read_text(encoding="utf-8")
            .split("\n")
            for part in ("ner", "relation")
        )
        return _Layout(
            kinds=tuple(kind for kind in kinds if kind),
            relations=tuple(relation for relation in relations if relation),
            max_span_width=int(reader["max_span_width"]),
            max_pieces=int(reader["token_indexers"]["bert"]["max_length"]),
            spans_per_word=float(model["modules"]["relation"]["spans_per_word"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{_NAME}: {folder} is not the published folder 'radgraph' or 'radgraph-xl' "
            f"({type(error).__name__}: {error})"
        ) from error
