"""The image: each finding changes it visibly, on its own side, and nothing else decides it but the seed."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from training.phantom.findings import FACTS, Findings, sample_findings
from training.phantom.radiograph import MIN_SIZE, project, render

SEEDS = st.integers(min_value=0, max_value=2**32 - 1)
ABNORMAL = [(fact, value) for fact, values in FACTS.items() for value in values[1:]]
ONE_SIDED = [(fact, value) for fact, value in ABNORMAL if "right" in value or "left" in value]
VISIBLE_GREY_LEVELS = 25


def change(seed: int, fact: str, value: str, size: int = 224) -> NDArray[np.float64]:
    """How much the finding adds to the grey level of each pixel of one person's normal image."""
    normal = Findings.normal()
    with_it = render(replace(normal, **{fact: value}), np.random.default_rng(seed), size)
    return with_it.astype(float) - render(normal, np.random.default_rng(seed), size)


def changed_area(difference: NDArray[np.float64]) -> int:
    return int((np.abs(difference) > VISIBLE_GREY_LEVELS).sum())


@given(SEEDS)
@settings(max_examples=10, deadline=None)
def test_an_image_is_grey_bytes_with_contrast_and_repeatable(seed: int) -> None:
    findings = sample_findings(np.random.default_rng(seed))
    image = render(findings, np.random.default_rng(seed))
    assert image.shape == (224, 224)
    assert image.dtype == np.uint8
    assert np.percentile(image, 95) - np.percentile(image, 5) > 80
    np.testing.assert_array_equal(image, render(findings, np.random.default_rng(seed)))


def test_two_seeds_are_two_people() -> None:
    one, other = (render(Findings.normal(), np.random.default_rng(seed)).astype(float) for seed in (1, 2))
    assert np.abs(one - other).mean() > 5


@pytest.mark.parametrize(("fact", "value"), ABNORMAL)
def test_every_finding_can_be_seen(fact: str, value: str) -> None:
    smallest = min(changed_area(change(seed, fact, value)) for seed in range(8))
    assert smallest > 120, f"{fact} {value} changes {smallest} pixels of 50,176"


@pytest.mark.parametrize(("fact", "value"), ONE_SIDED)
def test_a_finding_of_the_patients_left_is_on_the_images_right(fact: str, value: str) -> None:
    for seed in range(8):
        seen = np.abs(change(seed, fact, value)) > VISIBLE_GREY_LEVELS
        on_image_left, on_image_right = int(seen[:, :112].sum()), int(seen[:, 112:].sum())
        right, wrong = (on_image_right, on_image_left) if "left" in value else (on_image_left, on_image_right)
        assert right > 10 * wrong, (seed, right, wrong)


@pytest.mark.parametrize(("fact", "value"), [("effusion", "bilateral"), ("opacity", "bilateral_lower")])
def test_a_bilateral_finding_is_on_both_sides(fact: str, value: str) -> None:
    for seed in range(8):
        seen = np.abs(change(seed, fact, value)) > VISIBLE_GREY_LEVELS
        assert min(seen[:, :112].sum(), seen[:, 112:].sum()) > 100


@pytest.mark.parametrize("side", ["right", "left"])
def test_upper_and_lower_consolidations_lie_apart(side: str) -> None:
    for seed in range(8):
        heights = [
            np.nonzero(change(seed, "opacity", f"{side}_{zone}") > VISIBLE_GREY_LEVELS)[0].mean()
            for zone in ("upper", "lower")
        ]
        assert heights[1] - heights[0] > 40


@pytest.mark.parametrize("side", ["right", "left"])
def test_a_large_effusion_is_much_larger_than_a_small_one(side: str) -> None:
    for seed in range(8):
        small, large = (
            changed_area(change(seed, "effusion", f"{size}_{side}")) for size in ("small", "large")
        )
        assert large > 2.5 * small


def test_the_heart_grows_with_its_grade() -> None:
    for seed in range(8):
        mild, marked = (
            changed_area(change(seed, "heart", f"{grade}_enlarged")) for grade in ("mildly", "markedly")
        )
        assert marked > 1.6 * mild


def test_fluid_bone_and_metal_are_bright_and_free_air_is_dark() -> None:
    for fact, value, sign in (
        ("effusion", "large_left", 1),
        ("device", "pacemaker", 1),
        ("bones", "right_rib_fractures", 1),
        ("pneumothorax", "left", -1),
    ):
        difference = change(4, fact, value)
        assert np.sign(difference[np.abs(difference) > VISIBLE_GREY_LEVELS].mean()) == sign, fact


def test_a_left_base_consolidation_shows_beside_a_large_heart() -> None:
    behind = replace(Findings.normal(), heart="markedly_enlarged")
    for seed in range(8):
        with_it = render(replace(behind, opacity="left_lower"), np.random.default_rng(seed)).astype(float)
        without = render(behind, np.random.default_rng(seed))
        assert ((with_it - without) > 12).sum() > 400


@pytest.mark.parametrize("size", [MIN_SIZE, 333, 512])
def test_any_size_shows_the_same_chest(size: int) -> None:
    findings = replace(Findings.normal(), effusion="large_right", device="central_line")
    image = project(findings, np.random.default_rng(3), size)
    reference = project(findings, np.random.default_rng(3), 224)
    assert image.shape == (size, size)
    assert image.dtype == np.float32
    assert image.min() >= 0
    assert image.max() <= 1
    places = ((np.arange(16) + 0.5) / 16)[:, None]
    coarse = [
        picture[(places * len(picture)).astype(int), (places.T * len(picture)).astype(int)]
        for picture in (image, reference)
    ]
    assert np.corrcoef(coarse[0].ravel(), coarse[1].ravel())[0, 1] > 0.97


def test_a_size_that_would_lose_thin_lines_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 128 pixels"):
        render(Findings.normal(), np.random.default_rng(0), 100)
