"""Generator of drafts: preparation, prompt, decoding and sections for one image.

Implements the ReportGenerator port.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import torch

from echo_node.domain.drafts.report import Generation, ModelIdentity, Report, Sentence
from echo_node.domain.studies.study import GreyImage, Greyscale
from echo_node.errors import PermanentError, TransientError
from echo_node.inference.confidence import Calibration, likelihoods
from echo_node.inference.image import ImagePreparation
from echo_node.inference.processor import EchoProcessor
from echo_node.model import checkpoint
from echo_node.model.checkpoint import Checkpoint
from echo_node.model.decoding.canvas import Decoded
from echo_node.model.decoding.decoder import Decoder, decode_settings
from echo_node.report_text.draft_sections import Span, split_sections
from echo_node.report_text.sentence_check import doubtful_sentences
from echo_node.report_text.soundness import why_unsound
from echo_node.settings import ModelSettings


def load_generator(settings: ModelSettings) -> EchoGenerator:
    """Load the configured model onto the configured device.

    Raises:
        CheckpointError: the checkpoint is unusable; the message names the fault.
        PermanentError: `device = "cuda"`, and PyTorch finds no GPU.
    """
    loaded = checkpoint.load(settings.name, device_of(settings))
    return EchoGenerator(loaded, ImagePreparation.load(loaded.folder), settings)


def device_of(settings: ModelSettings) -> str:
    """Return the configured device, `cpu` or `cuda`, and configure PyTorch's number of threads.

    Raises:
        PermanentError: `device = "cuda"`, and PyTorch finds no GPU.
    """
    if settings.threads:
        torch.set_num_threads(settings.threads)
    if settings.device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if settings.device == "cuda" and not torch.cuda.is_available():
        raise PermanentError(
            "model.device is 'cuda', but PyTorch finds no GPU: set it to 'auto' to use what is available"
        )
    return settings.device


class EchoGenerator:
    """Loaded model that writes drafts, one at a time."""

    def __init__(self, loaded: Checkpoint, preparation: ImagePreparation, settings: ModelSettings) -> None:
        facts = loaded.facts
        self._identity = ModelIdentity(facts.name, facts.version, loaded.digest, facts.demonstration)
        self._language = facts.language
        self._model = loaded.model
        self._processor = EchoProcessor(preparation, loaded.tokenizer)
        self._calibration = Calibration.load(loaded.folder) if settings.check != "off" else None
        self._greyscale = (
            preparation.greyscale if settings.greyscale == "auto" else Greyscale(settings.greyscale)
        )
        self._decoder_name, self._max_new_tokens = settings.decoder, settings.max_new_tokens
        decoding = decode_settings(
            settings.decoder, settings.confidence_threshold, settings.max_new_tokens, settings.check
        )
        self._decoder = Decoder(loaded.model, decoding)

    @property
    def model(self) -> ModelIdentity:
        """Identity of the loaded model."""
        return self._identity

    @property
    def greyscale(self) -> Greyscale:
        """Conversion to grey values for the model, unless the settings prescribe another."""
        return self._greyscale

    def generate(self, image: GreyImage) -> Report:
        """Return the draft for one frontal chest image.

        Raises:
            PermanentError: the text has no end, or is unsound (report_text/soundness.py).
            TransientError: the device is out of memory.
        """
        started = time.perf_counter()
        try:
            decoded = self._decode(image)
        except torch.OutOfMemoryError as error:
            raise TransientError("the device is out of memory") from error
        seconds = time.perf_counter() - started
        if decoded.ending == "loop":
            raise PermanentError(f"the model repeats itself after {decoded.written} tokens")
        if decoded.ending == "length":
            raise PermanentError(f"the model did not end its report within {self._max_new_tokens} tokens")
        return self._report(decoded, seconds)

    def _decode(self, image: GreyImage) -> Decoded:
        inputs = self._processor(image, device=self._model.device)
        with torch.inference_mode():
            prompt = self._model.embed_prompt(
                inputs["input_ids"], inputs["pixel_values"].to(self._model.dtype), inputs["image_grid_thw"]
            )
        return self._decoder.write(prompt)[0]

    def _report(self, decoded: Decoded, seconds: float) -> Report:
        if self._has_specials_within(decoded.tokens):
            raise PermanentError("the model wrote a special token in its text")
        text = self._processor.decode(decoded.tokens)
        sections = split_sections(text)
        if reason := why_unsound(text, sections):
            raise PermanentError(reason)
        doubts = {each.span: each.reason for each in doubtful_sentences(sections, self._language)}
        return Report(
            findings=self._sentences(sections.findings, text, decoded, doubts),
            impression=self._sentences(sections.impression, text, decoded, doubts),
            language=self._language,
            model=self._identity,
            generation=Generation(self._decoder_name, decoded.written, decoded.forwards, seconds),
        )

    def _has_specials_within(self, tokens: Sequence[int]) -> bool:
        """Return whether text follows a special token: decoding would silently omit that token."""
        special = set(self._processor.tokenizer.all_special_ids)
        is_special = [token in special for token in tokens]
        return any(not later for later in is_special[is_special.index(True) :]) if any(is_special) else False

    def _sentences(
        self, spans: tuple[Span, ...], text: str, decoded: Decoded, doubts: Mapping[Span, str]
    ) -> tuple[Sentence, ...]:
        """Return the sentences, each with its confidence and with the doubt in its wording."""
        return tuple(
            Sentence(span.text, confidence, doubts.get(span, ""))
            for span, confidence in zip(spans, self._confidences(spans, text, decoded), strict=True)
        )

    def _confidences(self, spans: tuple[Span, ...], text: str, decoded: Decoded) -> Sequence[float | None]:
        """Return the confidence in each sentence: None unless check and calibration are there."""
        if self._calibration is None:
            return [None] * len(spans)
        found = likelihoods(spans, text, decoded.tokens, decoded.probabilities, self._processor.tokenizer)
        return list(map(self._calibration, found))
