"""The image: each finding changes it visibly, on its own side, in every view that shows it."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from training.phantom.findings import FACTS, Findings, Patient, View
from training.phantom.rendering.radiograph import MIN_SIZE, project, render

ABNORMAL = [(fact, value) for fact, values in FACTS.items() for value in values[1:]]
SIDED = [(fact, value) for fact, value in ABNORMAL if fact.endswith(("_right", "_left")) or fact == "nodule"]
SEEDS = range(2)
VISIBLE_GREY_LEVELS = 18


def change(seed: int, fact: str, value: str, view: View | None = None) -> NDArray[np.float64]:
    """Return the grey level that the finding adds to each pixel of a person's normal image."""
    portable = fact in ("endotracheal_tube", "gastric_tube")
    normal = Findings.normal(Patient(view="AP" if portable else "PA"))
    abnormal = replace(normal, patient=normal.patient, **{fact: value})
    with_it = render(abnormal, np.random.default_rng(seed), 224, view)
    return with_it.astype(float) - render(normal, np.random.default_rng(seed), 224, view)


@pytest.mark.parametrize("view", ["PA", "AP", "LATERAL"])
def test_an_image_is_grey_bytes_with_contrast_and_repeatable(view: View) -> None:
    findings = Findings.normal()
    image = render(findings, np.random.default_rng(4), 224, view)
    assert (image.shape, image.dtype) == ((224, 224), np.dtype(np.uint8))
    assert np.percentile(image, 90) - np.percentile(image, 10) > 80
    np.testing.assert_array_equal(image, render(findings, np.random.default_rng(4), 224, view))


def test_the_default_view_is_the_patients() -> None:
    findings = Findings.normal(Patient(view="AP"))
    one, other = (render(findings, np.random.default_rng(4), 160, view) for view in (None, "AP"))
    np.testing.assert_array_equal(one, other)


def test_two_seeds_are_two_people() -> None:
    one, other = (render(Findings.normal(), np.random.default_rng(seed)).astype(float) for seed in (1, 2))
    assert np.abs(one - other).mean() > 5


@pytest.mark.parametrize(("fact", "value"), ABNORMAL)
def test_every_finding_can_be_seen(fact: str, value: str) -> None:
    smallest = min(int((np.abs(change(seed, fact, value)) > VISIBLE_GREY_LEVELS).sum()) for seed in SEEDS)
    assert smallest > 40, f"{fact} {value} changes {smallest} pixels of 50,176"


@pytest.mark.parametrize(("fact", "value"), SIDED)
def test_a_finding_of_the_patients_left_is_on_the_images_right(fact: str, value: str) -> None:
    left = fact.endswith("left") or value.startswith("left")
    for seed in SEEDS:
        added = change(seed, fact, value)
        seen = np.maximum(np.abs(added) - VISIBLE_GREY_LEVELS, 0.0)
        if fact.startswith("pneumothorax"):  # a large one also pushes the heart into the other side
            seen = np.maximum(-added - VISIBLE_GREY_LEVELS / 2, 0.0)
            seen[:, 70:154] = 0.0
        on_left, on_right = seen[:, :112].sum(), seen[:, 112:].sum()
        assert (on_right > 1.5 * on_left) if left else (on_left > 1.5 * on_right), (seed, on_left, on_right)


def test_a_nodule_has_one_height_in_both_views() -> None:
    for seed in SEEDS:
        heights = []
        for view in ("PA", "LATERAL"):
            added = np.maximum(change(seed, "nodule", "right_upper_mass", view) - VISIBLE_GREY_LEVELS, 0.0)
            heights.append(np.average(np.arange(224), weights=added.sum(1)))
        assert abs(heights[0] - heights[1]) < 16


def test_consolidation_of_the_middle_lobe_is_in_front_and_of_the_lower_lobe_behind() -> None:
    middles = {}
    for lobe in ("middle", "lower"):
        added = np.maximum(change(1, "consolidation_right", lobe, "LATERAL"), 0.0) ** 2
        middles[lobe] = np.average(np.arange(224), weights=added.sum(0))
    assert middles["middle"] + 25 < middles["lower"]


def test_a_larger_effusion_and_heart_are_whiter() -> None:
    for fact in ("effusion_left", "heart"):
        added = [change(2, fact, value).clip(0).sum() for value in FACTS[fact][1:]]
        assert added == sorted(added)


def test_an_image_too_small_for_thin_lines_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 128 pixels"):
        project(Findings(), np.random.default_rng(0), MIN_SIZE - 1)


def test_a_projection_is_what_is_rendered() -> None:
    shown = project(Findings(), np.random.default_rng(5), 160)
    assert shown.dtype == np.float32
    np.testing.assert_allclose(shown * 255, render(Findings(), np.random.default_rng(5), 160), atol=0.51)
