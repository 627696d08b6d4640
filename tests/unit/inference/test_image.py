"""Image preparation: equal to the stock processor in common cases, and safe with bad files."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from transformers import Qwen2VLImageProcessorPil

from echo_node.domain.studies.study import GreyImage, Greyscale
from echo_node.errors import CheckpointError, PermanentError
from echo_node.inference.image import ImagePreparation, read_image_file
from echo_node.model import checkpoint


def _grey(width: int, height: int, seed: int = 0) -> GreyImage:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)
    return GreyImage(width, height, pixels.tobytes())


@settings(max_examples=25, deadline=None)
@given(st.integers(30, 400), st.integers(30, 400))
def test_smart_preparation_equals_the_stock_processor(width: int, height: int) -> None:
    ours = ImagePreparation(resize="smart", min_pixels=56 * 56, max_pixels=100_000)
    image = _grey(width, height)
    pixels, grid = ours.patches(torch.from_numpy(ours.resized(image).copy())[None])
    stock = Qwen2VLImageProcessorPil(size={"shortest_edge": 56 * 56, "longest_edge": 100_000})
    picture = Image.frombytes("L", (width, height), image.pixels).convert("RGB")
    expected = stock(picture, return_tensors="pt")
    assert grid.tolist() == expected["image_grid_thw"].tolist()
    torch.testing.assert_close(pixels, expected["pixel_values"], atol=1e-5, rtol=0)


def test_square_preparation_keeps_the_proportions() -> None:
    image = GreyImage(100, 50, bytes([255]) * 5000)
    square = ImagePreparation(resize="square", side=112).resized(image)
    assert square.shape == (112, 112)
    assert (square[40:72] == 255).all()
    assert (square[:20] == 0).all()
    assert (square[-20:] == 0).all()


def test_the_settings_survive_a_round_trip(tmp_path: Path) -> None:
    wanted = ImagePreparation(
        resize="square", side=448, max_pixels=123_456, greyscale=Greyscale.MINMAX_EQUALISED
    )
    wanted.save(tmp_path)
    assert ImagePreparation.load(tmp_path) == wanted


def test_without_a_recipe_grey_values_are_a_viewers(tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text('{"resize": "square"}')
    assert ImagePreparation.load(tmp_path).greyscale is Greyscale.WINDOW


@pytest.mark.parametrize("name", ["echo-demo", "echo-demo-base"])
def test_the_shipped_models_get_a_viewers_grey_values(name: str) -> None:
    assert ImagePreparation.load(checkpoint.find_checkpoint(name)).greyscale is Greyscale.WINDOW


def test_a_recipe_that_there_is_not_is_named(tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text('{"greyscale": "sepia"}')
    with pytest.raises(CheckpointError, match="greyscale must be one of window, minmax-equalised"):
        ImagePreparation.load(tmp_path)


def test_an_absent_or_broken_file_of_settings_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"preprocessor_config\.json"):
        ImagePreparation.load(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text("{")
    with pytest.raises(CheckpointError, match="not JSON"):
        ImagePreparation.load(tmp_path)


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "tif"])
def test_pictures_are_read_as_grey(tmp_path: Path, suffix: str) -> None:
    ramp = np.tile(np.arange(64, dtype=np.uint8) * 4, (32, 1))
    path = tmp_path / f"ramp.{suffix}"
    Image.fromarray(ramp).save(path)
    image = read_image_file(path)
    assert (image.width, image.height) == (64, 32)
    assert abs(image.pixels[63] - 252) < 8


def test_sixteen_bit_pictures_use_their_whole_range(tmp_path: Path) -> None:
    Image.fromarray(np.array([[1000, 3000]], dtype=np.uint16)).save(tmp_path / "deep.png")
    assert read_image_file(tmp_path / "deep.png").pixels == bytes([0, 255])


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n" + b"\0" * 40])
def test_what_is_no_picture_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file.png"
    path.write_bytes(content)
    with pytest.raises(PermanentError, match="cannot be read as an image"):
        read_image_file(path)


def test_a_truncated_picture_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(PermanentError, match="cannot be read as an image"):
        read_image_file(path)
