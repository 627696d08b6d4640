"""The view check's training in small: images, jitter, recipe, and the files that it writes."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import warm

from echo_node.domain.studies.appearance import Appearance
from echo_node.inference.view_check import KNOWN, SIDE, ViewCheck, evened
from training.view_check.images import ImagePools, kind_of, render_pools
from training.view_check.jitter import SHARES, jittered_examples, random_examples
from training.view_check.measure import NAMED, measure
from training.view_check.not_chest import KINDS
from training.view_check.train import LIMITS


@pytest.fixture(scope="module")
def pools() -> ImagePools:
    return render_pools(3, (4, 3, len(KINDS)))


def row(looks: Appearance, count: int = 40) -> np.ndarray:
    return np.full(count, KNOWN.index(looks))


def test_the_same_seed_gives_the_same_images_and_no_body_is_in_two_pools(pools: ImagePools) -> None:
    again = render_pools(3, (2, 0, 2))
    assert np.array_equal(again.frontal, pools.frontal[:2])
    assert np.array_equal(again.others, pools.others[:2])
    for pool in (pools.frontal, pools.lateral, pools.others):
        assert pool.shape[1:] == (SIDE, SIDE)
        assert len({each.tobytes() for each in pool}) == len(pool)
    assert {kind_of(place) for place in range(len(KINDS))} == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_that_is_not_a_chest_can_have_any_size(kind: str) -> None:
    for size in (128, 200):
        image = KINDS[kind](np.random.default_rng(1), size)
        assert (image.shape, image.dtype) == ((size, size), np.dtype(np.uint8))
        assert image.max() > image.min()


def test_jitter_is_a_function_of_its_generator(pools: ImagePools) -> None:
    first, again, other = (random_examples(pools, 30, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first.small, again.small)
    assert np.array_equal(first.classes, again.classes)
    assert not np.array_equal(first.small, other.small)
    assert first.inputs.shape == (30, 1, SIDE, SIDE)
    assert sum(SHARES.values()) == pytest.approx(1.0)


def test_examples_have_the_orientation_of_their_class(pools: ImagePools) -> None:
    """Averaged over jitter, an example is most like its image in the same orientation."""
    one = ImagePools(pools.frontal[:1], pools.lateral[:1], pools.others[:1])
    image = evened(one.frontal[0])
    ways = {
        Appearance.FRONTAL: [image],
        Appearance.MIRRORED: [image[:, ::-1]],
        Appearance.UPSIDE_DOWN: [image[::-1], image[::-1, ::-1]],
        Appearance.SIDEWAYS: [np.rot90(image, k)[:, ::s] for k in (1, 3) for s in (1, -1)],
    }
    for looks in ways:
        mean = jittered_examples(one, row(looks), np.random.default_rng(5)).inputs.numpy().mean(axis=(0, 1))
        fits = {
            other: float(np.mean([np.corrcoef(mean.ravel(), way.ravel())[0, 1] for way in oriented]))
            for other, oriented in ways.items()
        }
        assert max(fits, key=fits.__getitem__) is looks, fits
    inverted = (
        jittered_examples(one, row(Appearance.INVERTED), np.random.default_rng(5))
        .inputs.numpy()
        .mean(axis=(0, 1))
    )
    assert np.corrcoef(inverted.ravel(), image.ravel())[0, 1] < 0


def test_every_example_is_counted_once_and_errors_by_their_kind(pools: ImagePools) -> None:
    class Frontal(ViewCheck):
        """Calls everything frontal."""

        def probabilities(self, small_HW: np.ndarray) -> np.ndarray:
            certain: np.ndarray = np.eye(len(KNOWN), dtype=np.float32)[0] * small_HW.any()
            return certain

    each = {looks: 11 + n for n, looks in enumerate(KNOWN)}
    measured = measure(Frontal({}, dict.fromkeys(KNOWN, 0.5), LIMITS), pools, each, seed=1)
    assert measured.confusion.sum(axis=1).tolist() == [each[looks] for looks in KNOWN]
    assert measured.confusion[:, NAMED.index(Appearance.FRONTAL)].sum() == sum(each.values())
    assert (measured.frontal, measured.refused) == (11, 0)
    assert measured.taken_for_frontal == sum(each.values()) - 11
    assert sum(measured.called_frontal.values()) == each[Appearance.NO_CHEST]


@pytest.mark.slow
@pytest.mark.long
def test_the_recipe_in_little_writes_weights_that_load_and_a_card(tmp_path: Path) -> None:
    done = warm.run(
        "training.view_check",
        ["--out", "made", "--share", "0.005", "--updates", "20", "--seed", "5", "--pictures", "sheet.png"],
        cwd=tmp_path,
        env=os.environ,
    )
    assert done.returncode == 0, done.stderr
    check = ViewCheck.load(tmp_path / "made" / "view-check.safetensors")
    assert check.probabilities(np.zeros((SIDE, SIDE), np.uint8)).shape == (len(KNOWN),)
    card = (tmp_path / "made" / "README.md").read_text(encoding="utf-8")
    assert done.stdout.strip() in card
    assert "never validated on patients" in card
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.height == SIDE * len(KNOWN)


def test_the_held_out_phantoms_cannot_be_trained_on(tmp_path: Path) -> None:
    done = warm.run("training.view_check", ["--out", tmp_path, "--seed", "77"], cwd=tmp_path, env=os.environ)
    assert done.returncode == 2
    assert "held out" in done.stderr
