from pathlib import Path

import numpy as np
import pytest
from support.datasets import build_manifest, manifest_rows
from support.small_checkpoint import write_checkpoint

from echo_node.errors import ConfigError
from echo_node.inference.image import ImagePreparation, read_image_file
from echo_node.model import checkpoint
from training.datasets.folder import FolderExamples
from training.loop.run import run_stage
from training.recipe import load_recipe

SQUARE = ImagePreparation(resize="square", side=56)
RECIPE = """
stage = "rad"
[model]
name = "small"
version = "1"
block_length = 8
start = "{start}"
[data]
source = "folder"
path = "{path}"
side = 56
[optimiser]
steps = 2
batch = 2
learning_rate = 1e-3
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = [*manifest_rows(tmp_path, 6)[:5], {**manifest_rows(tmp_path, 6)[5], "split": "test"}]
    build_manifest(tmp_path, tmp_path / "out", rows)
    return tmp_path / "out"


def test_images_are_those_that_the_node_would_show_the_model(folder: Path) -> None:
    examples = FolderExamples(folder, "train", SQUARE)
    assert len(examples) == 5
    images = examples.images([3, 0])
    assert images.shape == (2, 56, 56)
    np.testing.assert_array_equal(images[0], SQUARE.resized(read_image_file(folder.parent / "3.png")))
    assert examples.report(1, epoch=4).startswith("Findings: There is a small left pleural effusion.")
    assert examples.findings(0) == []


def test_other_splits_and_fewer_rows(folder: Path) -> None:
    assert len(FolderExamples(folder, "test", SQUARE)) == 1
    assert len(FolderExamples(folder, "train", SQUARE, count=2)) == 2
    with pytest.raises(ConfigError, match="no row of split 'validation'"):
        FolderExamples(folder, "validation", SQUARE)


def test_a_preparation_that_keeps_shapes_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match="set resize to square"):
        FolderExamples(folder, "train", ImagePreparation(resize="smart"))


def test_training_runs_on_a_folder(folder: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        RECIPE.format(start=write_checkpoint(tmp_path / "start"), path=folder), encoding="utf-8"
    )
    out = run_stage("rad", str(recipe), tmp_path / "run")
    assert checkpoint.load(str(out)).model.config.block_length == 8
    assert "split train of the data set out" in (out / "README.md").read_text(encoding="utf-8")


def test_a_model_that_learns_from_phantoms_is_a_demonstration(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(RECIPE.format(start="x", path="y"), encoding="utf-8")
    assert not load_recipe(str(recipe), ["model.demonstration=false"]).model.demonstration
    with pytest.raises(ConfigError, match="not for patients"):
        load_recipe(str(recipe), ["model.demonstration=false", "data.source=phantom", "data.count=4"])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("reading.weight=0.1", "only they know their findings"),
        ("data.path=", "data.path must name"),
        ("data.source=phantom", "data.count must be the number"),
    ],
)
def test_a_recipe_that_lacks_its_data_is_refused(tmp_path: Path, override: str, message: str) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(RECIPE.format(start="x", path="y"), encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        load_recipe(str(recipe), [override])
