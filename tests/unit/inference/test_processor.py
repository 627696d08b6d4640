"""Processor and model, loaded and used by the interfaces of transformers."""

from pathlib import Path

import pytest
import torch
from PIL import Image
from support.small_checkpoint import write_checkpoint
from transformers import AutoModelForImageTextToText, AutoProcessor

from echo_node.domain.studies.study import GreyImage
from echo_node.inference.processor import EchoProcessor
from echo_node.model.checkpoint import find_checkpoint
from training.phantom.dataset import PhantomDataset


def test_three_lines_of_transformers_write_a_report() -> None:
    folder = find_checkpoint("echo-demo")
    processor = AutoProcessor.from_pretrained(folder)
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32)
    inputs = processor(images=Image.fromarray(PhantomDataset(1, 11)[0].image))
    texts = processor.batch_decode(model.generate(**inputs).tolist())
    assert texts[0].startswith("Findings:")
    assert "Impression:" in texts[0]
    assert model.generate(**inputs, max_new_tokens=16).shape[1] == 16


def test_a_saved_processor_loads_again(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "small")
    processor = EchoProcessor.from_pretrained(folder)
    (tmp_path / "again").mkdir()
    processor.save_pretrained(tmp_path / "again")
    again = EchoProcessor.from_pretrained(tmp_path / "again")
    image = GreyImage(60, 50, bytes(range(250)) * 12)
    one, other = processor(image), again([image])
    assert torch.equal(one["input_ids"], other["input_ids"])
    assert torch.equal(one["pixel_values"], other["pixel_values"])


def test_images_of_several_sizes_go_one_by_one(tmp_path: Path) -> None:
    processor = EchoProcessor.from_pretrained(write_checkpoint(tmp_path / "small"))
    processor.preparation = type(processor.preparation)(resize="smart")
    with pytest.raises(ValueError, match="one by one"):
        processor([GreyImage(56, 56, bytes(56 * 56)), GreyImage(112, 56, bytes(56 * 112))])
