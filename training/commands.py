"""What `echo-node evaluate` and `echo-node calibrate` do; `train` is in run.py."""

from __future__ import annotations

from rich.console import Console

from echo_node.errors import ConfigError
from echo_node.inference.image import ImagePreparation
from echo_node.model import checkpoint
from echo_node.model.decode import settings_of
from echo_node.settings import ModelSettings
from training.calibrate import fit, judge, reliability
from training.data import PhantomExamples
from training.evaluate import Row, draft, evaluate_phantoms, parse_data


def evaluate(data: str, seed: int, model: str, threshold: float = 0.85) -> list[Row]:
    """Measure a model on held-out data; see training.evaluate for the rows.

    Raises:
        ConfigError: *data* is not `phantom:N`.
        CheckpointError: the model cannot be loaded.
    """
    count = parse_data(data)
    console = Console(stderr=True)
    with console.status("") as status:
        return evaluate_phantoms(model, count, seed, threshold, status.update, console.print)


def calibrate(data: str, seed: int, settings: ModelSettings) -> list[tuple[float, float, int]]:
    """Measure how often sentences are right that a model finds so likely, and write it beside the model.

    Half of the cases give the map, the other half the reliability that is returned: mean confidence, share
    of right sentences and their number, for each bin of confidence.

    Raises:
        ConfigError: *data* is not `phantom:N`, or the settings check nothing.
        CheckpointError: the model cannot be loaded.
    """
    if settings.check == "off":
        raise ConfigError("model.check is 'off': there is nothing to calibrate; take 'mark' or 'repair'")
    count = parse_data(data)
    loaded = checkpoint.load(settings.name)
    preparation = ImagePreparation.load(loaded.folder)
    decoding = settings_of(
        settings.decoder, settings.confidence_threshold, settings.max_new_tokens, settings.check
    )
    with Console(stderr=True).status("rendering phantoms") as status:
        examples = PhantomExamples(count, seed, preparation.side)
        status.update("drafting")
        drafts = draft(loaded, preparation, examples.images(range(count)), decoding).decoded
    half = count // 2
    fitted = fit(judge(drafts[:half], examples.truths[:half], loaded.tokenizer), f"{data}, seed {seed}")
    fitted.save(loaded.folder)
    return reliability(judge(drafts[half:], examples.truths[half:], loaded.tokenizer), fitted)
