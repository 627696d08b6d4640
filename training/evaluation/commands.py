"""Implementation of the commands `echo-node evaluate` and `echo-node calibrate`."""

from __future__ import annotations

from rich.console import Console

from echo_node.errors import ConfigError
from echo_node.inference.image import ImagePreparation
from echo_node.model import checkpoint
from echo_node.model.decoding.decoder import decode_settings
from echo_node.settings import ModelSettings
from training.evaluation.calibrate import fit, judge, reliability
from training.evaluation.drafting import draft
from training.evaluation.evaluate import Evaluation, Plan
from training.evaluation.evaluate import evaluate as measure
from training.evaluation.metrics.scorers import load_scorers
from training.evaluation.open_cases import open_cases, parse_phantoms
from training.examples.examples import PhantomExamples
from training.phantom.dataset import PhantomDataset


def evaluate(data: str, seed: int, model: str, threshold: float, scorers: list[str]) -> Evaluation:
    """Evaluate a model on held-out data, and compare it with controls.

    Args:
        data: `phantom:N`, or a JSONL file of images and reports.
        seed: random seed of phantoms, shuffled images and resamples.
        model: name of a shipped model, or a folder.
        threshold: confidence threshold of the adaptive decoder.
        scorers: additional metrics, in the form of
            `training.evaluation.metrics.scorers.load_scorers`.

    Raises:
        ConfigError: *data* or a scorer has an unknown form.
        CheckpointError: the model or the weights of a scorer cannot be loaded.
        PermanentError: an image cannot be read.
    """
    loaded_scorers = load_scorers(scorers)
    student = checkpoint.load(model)
    console = Console(stderr=True, markup=False)
    with console.status("reading images") as status:
        cases = open_cases(data, seed, ImagePreparation.load(student.folder))
        plan = Plan(seed, threshold, loaded_scorers)
        return measure(student, cases, plan, status.update, console.print)


def calibrate(data: str, seed: int, settings: ModelSettings) -> list[tuple[float, float, int]]:
    """Calibrate the confidence of a model's sentences, and write the calibration into its folder.

    Half of the cases are used for fitting. On the other half, the function measures the reliability
    that it returns: mean confidence, share of right sentences and number of sentences, for each bin
    of confidence.

    Raises:
        ConfigError: *data* is not `phantom:N`, or `model.check` is "off".
        CheckpointError: the model cannot be loaded.
    """
    if settings.check == "off":
        raise ConfigError("model.check is 'off': to calibrate, set it to 'mark' or 'repair'")
    count = parse_phantoms(data)
    loaded = checkpoint.load(settings.name)
    preparation = ImagePreparation.load(loaded.folder)
    decoding = decode_settings(
        settings.decoder, settings.confidence_threshold, settings.max_new_tokens, settings.check
    )
    with Console(stderr=True).status("rendering phantoms") as status:
        examples = PhantomExamples(PhantomDataset(count, seed, preparation.side))
        status.update("drafting")
        drafts = draft(loaded, preparation, examples.images(range(count)), decoding).decoded
    half = count // 2
    fitted = fit(judge(drafts[:half], examples.truths[:half], loaded.tokenizer), f"{data}, seed {seed}")
    fitted.save(loaded.folder)
    return reliability(judge(drafts[half:], examples.truths[half:], loaded.tokenizer), fitted)
