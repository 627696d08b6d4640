"""From pixels to a report, with the shipped model and with models that fail."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support.small_checkpoint import write_checkpoint

from echo_node.domain.drafts.report import Report
from echo_node.domain.studies.study import GreyImage, Greyscale
from echo_node.errors import PermanentError
from echo_node.inference.generator import EchoGenerator, load_generator
from echo_node.inference.image import ImagePreparation
from echo_node.model.decoding.canvas import Decoded
from echo_node.settings import ModelSettings
from training.phantom.dataset import PhantomDataset


@pytest.fixture(scope="module")
def phantom() -> GreyImage:
    image = PhantomDataset(1, 11)[0].image
    return GreyImage(image.shape[1], image.shape[0], image.tobytes())


def test_the_shipped_model_drafts_a_report_with_both_sections(phantom: GreyImage) -> None:
    generator = load_generator(ModelSettings(device="cpu"))
    report = generator.generate(phantom)
    assert report.findings
    assert report.impression
    assert report.model.demonstration
    assert len(report.model.digest) == 64
    assert report.generation.decoder == "adaptive"
    assert all(sentence.confidence is not None for sentence in (*report.findings, *report.impression))
    assert generator.generate(phantom).findings == report.findings


def test_one_step_writes_a_block_in_one_forward(phantom: GreyImage) -> None:
    settings = ModelSettings(device="cpu", decoder="one_step", check="off")
    assert load_generator(settings).generate(phantom).generation.tokens_per_forward > 5


def test_multi_step_spends_more_forwards(phantom: GreyImage) -> None:
    one = load_generator(ModelSettings(device="cpu")).generate(phantom)
    many = load_generator(ModelSettings(device="cpu", decoder="multi_step", confidence_threshold=1.0))
    assert many.generate(phantom).generation.forwards > one.generation.forwards


def test_a_draft_that_does_not_end_is_not_a_draft(tmp_path: Path, phantom: GreyImage) -> None:
    folder = write_checkpoint(tmp_path / "small")
    generator = load_generator(ModelSettings(name=str(folder), device="cpu", max_new_tokens=16))
    with pytest.raises(PermanentError, match="did not end its report within 16 tokens"):
        generator.generate(phantom)


def written(generator: EchoGenerator, *tokens: int) -> Report:
    """Return the report of these tokens, as if the model had written them."""
    return generator._report(Decoded(tokens, (0.99,) * len(tokens), "eos", 1), 0.1)


def test_what_the_model_wrote_is_judged_before_it_is_a_report(tmp_path: Path) -> None:
    generator = load_generator(ModelSettings(name=str(write_checkpoint(tmp_path / "small")), device="cpu"))
    tokenizer = generator._processor.tokenizer

    def ids(text: str) -> list[int]:
        encoded: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
        return encoded

    words = ids("Findings: The lungs are clear.")
    mask = generator._model.config.mask
    assert [each.text for each in written(generator, *words).findings] == ["The lungs are clear."]
    assert written(generator, *words, tokenizer.pad_token_id).findings, "nothing was to stand behind it"
    for broken, reason in (
        ([*words, mask, *ids(" No effusion.")], "special token"),
        ([mask, *words], "special token"),
        ([*words, *ids("\u80ba")[:1]], "broken characters"),  # the first byte of three
        ([mask], "empty"),
        ([], "empty"),
        (ids("Findings: Impression:"), "empty"),
        (words * 3, "repeats itself"),
    ):
        with pytest.raises(PermanentError, match=reason):
            written(generator, *broken)


def test_grey_values_are_as_the_checkpoint_wants_them_or_as_the_settings_say(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "small")
    preparation = ImagePreparation.load(folder)
    replace(preparation, greyscale=Greyscale.MINMAX_EQUALISED).save(folder)
    settings = ModelSettings(name=str(folder), device="cpu")
    assert load_generator(settings).greyscale is Greyscale.MINMAX_EQUALISED
    overruled = settings.model_copy(update={"greyscale": "window"})
    assert load_generator(overruled).greyscale is Greyscale.WINDOW


def test_asking_for_a_gpu_that_is_not_there_says_so() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(PermanentError, match="no GPU"):
        load_generator(ModelSettings(device="cuda"))
