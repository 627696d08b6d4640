"""How good is a model? Coherence and truth of its drafts on held-out phantoms, beside what it must beat.

Coherent: the sentence is one that the grammar can produce for its section. Fact: one of the phantom's
findings, right if the draft's coherent sentences state it and nothing else about it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from echo_node.errors import CheckpointError, ConfigError
from echo_node.inference.image import ImagePreparation
from echo_node.model import checkpoint
from echo_node.model.canvas import Decoded, DecodeSettings
from echo_node.model.checkpoint import Checkpoint
from echo_node.model.decode import Decoder, settings_of
from training.collate import prepare_prompts
from training.data import Images, PhantomExamples
from training.phantom.findings import Findings
from training.phantom.grammar import write_report
from training.phantom.parser import score

Row = dict[str, object]
_BATCH = 32
_MAX_NEW_TOKENS = 160
_TEACHER_THRESHOLD = 0.85


@dataclass(frozen=True, slots=True)
class Measured:
    """Drafts of one decoder on one set: the texts and what they cost."""

    texts: tuple[str, ...]
    decoded: tuple[Decoded, ...]
    tokens: int
    forwards: int
    ended: float
    seconds: float


def parse_data(data: str) -> int:
    """Return the number of cases in `phantom:N`.

    Raises:
        ConfigError: it is not of that form.
    """
    source, _, count = data.partition(":")
    if source != "phantom" or not count.isdigit() or int(count) < 1:
        raise ConfigError(f"--data '{data}' is not of the form phantom:N")
    return int(count)


def evaluate_phantoms(
    model: str,
    count: int,
    seed: int,
    threshold: float,
    progress: Callable[[str], None],
    note: Callable[[str], None],
) -> list[Row]:
    """Measure a model on *count* phantoms.

    Args:
        model: a shipped model's name or a folder; its teacher, if it names one, is measured beside it.
        count: how many phantoms.
        seed: which ones; not a seed that the model was trained on.
        threshold: the adaptive decoder's confidence threshold.
        progress: told what is being measured.
        note: told what is left out, and why.

    Returns:
        One row for each decoder and baseline, with `decoder`, `coherent_sentences`, `facts`,
        `contradictions` (impressions that the findings do not state, per draft), `tokens_per_forward`,
        `ended`, `seconds` (per draft).
    """
    student = checkpoint.load(model)
    preparation = ImagePreparation.load(student.folder)
    progress("rendering phantoms")
    examples = PhantomExamples(count, seed, preparation.side)
    images, truths = examples.images(range(count)), examples.truths
    rows: list[Row] = []

    def measure(name: str, loaded: Checkpoint, pictures: Images, settings: DecodeSettings) -> None:
        progress(name)
        rows.append(row_of(name, draft(loaded, preparation, pictures, settings), truths))

    one_step = settings_of("one_step", threshold, _MAX_NEW_TOKENS)
    adaptive = settings_of("adaptive", threshold, _MAX_NEW_TOKENS)
    multi_step = settings_of("multi_step", _TEACHER_THRESHOLD, _MAX_NEW_TOKENS)
    measure("one_step", student, images, one_step)
    measure("adaptive", student, images, adaptive)
    measure("adaptive_mark", student, images, replace(adaptive, check="mark"))
    measure("adaptive_repair", student, images, replace(adaptive, check="repair"))
    measure("multi_step", student, images, multi_step)
    if student.facts.teacher:
        try:
            teacher = checkpoint.load(student.facts.teacher)
        except CheckpointError as error:
            note(f"the teacher is not measured: {error}")
        else:
            measure("teacher_multi_step", teacher, images, multi_step)
            measure("teacher_one_step", teacher, images, one_step)
    order = np.random.default_rng(seed).permutation(count)
    measure("one_step_shuffled_images", student, images[order], one_step)
    rows.append(row_of("always_normal", _always_normal(count), truths))
    return rows


def draft(
    loaded: Checkpoint, preparation: ImagePreparation, images: Images, settings: DecodeSettings
) -> Measured:
    """Draft a report for each image and time it."""
    started = time.perf_counter()
    decoder, decoded = Decoder(loaded.model, settings), list[Decoded]()
    for at in range(0, len(images), _BATCH):
        inputs = prepare_prompts(images[at : at + _BATCH], preparation, loaded.tokenizer)
        with torch.inference_mode():
            prompt = loaded.model.embed_prompt(*inputs)
        decoded += decoder.write(prompt)
    seconds = time.perf_counter() - started
    texts = loaded.tokenizer.batch_decode([list(d.tokens) for d in decoded], skip_special_tokens=True)
    return Measured(
        texts=tuple(texts),
        decoded=tuple(decoded),
        tokens=sum(d.written for d in decoded),
        forwards=sum(d.forwards for d in decoded),
        ended=sum(d.ended for d in decoded) / len(decoded),
        seconds=seconds / len(decoded),
    )


def _always_normal(count: int) -> Measured:
    texts = tuple(write_report(Findings.normal(), np.random.default_rng(i)).text for i in range(count))
    return Measured(texts, (), tokens=0, forwards=0, ended=1.0, seconds=0.0)


def row_of(name: str, measured: Measured, truths: Sequence[Findings]) -> Row:
    """Return the figures of a decoder's drafts against the truth."""
    scores = [score(text, truth) for text, truth in zip(measured.texts, truths, strict=True)]
    sentences = sum(s.sentences for s in scores)
    return {
        "decoder": name,
        "coherent_sentences": sum(s.coherent for s in scores) / max(1, sentences),
        "facts": sum(s.facts_right for s in scores) / sum(s.facts for s in scores),
        "contradictions": sum(s.contradictions for s in scores) / len(scores),
        "tokens_per_forward": measured.tokens / measured.forwards if measured.forwards else None,
        "ended": measured.ended,
        "seconds": measured.seconds,
    }
