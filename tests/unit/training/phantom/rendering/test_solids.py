"""Chords and tubes: closed forms agree with counted points, and all views show one body."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from training.phantom.findings import View
from training.phantom.rendering.camera import Camera
from training.phantom.rendering.solids import Ellipsoid, chords, ramp, union
from training.phantom.rendering.tubes import Tube, sweep

VIEWS: list[View] = ["PA", "AP", "LATERAL"]


def camera(view: View = "PA", size: int = 160, rotation: float = 0.0) -> Camera:
    return Camera(view, size, 40.0, 0.0, 0.0, 0.0, rotation)


def drawn(view: Camera, solid: Ellipsoid) -> NDArray[np.floating]:
    image = np.zeros((view.size, view.size), dtype=np.float32)
    chords(view, solid).add_to(image)
    return image


@pytest.mark.parametrize("view", VIEWS)
def test_a_chord_is_as_long_as_the_counted_points_on_its_ray(view: View) -> None:
    seen = camera(view, rotation=0.2)
    solid = Ellipsoid((1.0, 2.0, -1.5), (6.0, 2.5, 3.5), (0.8, -0.4, 0.45))
    image = drawn(seen, solid)
    inverse = np.linalg.inv(solid.shape())
    placed = seen.to_detector(np.asarray(solid.centre))
    u_W, z_H = seen.grid(float(placed[2]))
    steps = np.linspace(-12.0, 12.0, 4801)
    cosine, sine = np.cos(0.2), np.sin(0.2)
    for row, column in ((80, 80), (90, 95), (70, 70)):
        along, across = steps + placed[2], np.full_like(steps, u_W[column])
        x, y = (along, across) if view == "LATERAL" else (across, along)
        body = np.stack(
            [cosine * x + sine * y, -sine * x + cosine * y, np.full_like(steps, z_H[row])], axis=1
        )
        away = body - np.asarray(solid.centre)
        inside = np.einsum("ni,ij,nj->n", away, inverse, away) < 1.0
        assert image[row, column] == pytest.approx(inside.sum() * 0.005, abs=0.02)


@given(st.floats(-6, 6), st.floats(-6, 6), st.floats(-10, 10), st.sampled_from(VIEWS))
@settings(max_examples=25, deadline=None)
def test_a_solid_is_shown_where_the_camera_says_its_middle_is(
    x: float, y: float, z: float, view: View
) -> None:
    seen = camera(view, rotation=0.1)
    image = drawn(seen, Ellipsoid((x, y, z), (1.5, 1.5, 1.5)))
    column, row = (float(each) for each in seen.pixels(np.array([x, y, z])))
    rows, columns = np.indices(image.shape)
    assert np.average(columns, weights=image) == pytest.approx(column, abs=0.3)
    assert np.average(rows, weights=image) == pytest.approx(row, abs=0.3)


def test_frontal_and_lateral_views_agree_about_the_height() -> None:
    solid = Ellipsoid((0.0, 0.0, 5.0), (2.0, 2.0, 1.0))
    heights = [np.average(np.arange(160), weights=drawn(camera(view), solid).sum(1)) for view in VIEWS]
    assert max(heights) - min(heights) < 3


def test_an_ap_view_magnifies_what_lies_in_front_more_than_a_pa_view() -> None:
    heart = Ellipsoid((0.0, -4.0, 0.0), (5.0, 4.0, 5.0))
    pa, ap = ((drawn(camera(view), heart) > 0).sum() for view in ("PA", "AP"))
    assert ap > 1.15 * pa


def test_the_patients_left_is_on_the_right_and_their_back_on_the_right_of_a_lateral() -> None:
    left, back = np.array([5.0, 0.0, 0.0]), np.array([0.0, 5.0, 0.0])
    assert camera("PA").pixels(left)[0] > 100
    assert camera("AP").pixels(left)[0] > 100
    assert camera("LATERAL").pixels(back)[0] > 100


def test_a_solid_beside_the_field_is_not_seen() -> None:
    assert drawn(camera(), Ellipsoid((60.0, 0.0, 0.0), (3.0, 3.0, 3.0))).sum() == 0


def test_the_union_is_the_longest_chord_where_solids_hardly_overlap() -> None:
    seen = camera()
    one, other = Ellipsoid((-4.0, 0.0, 0.0), (3.0, 3.0, 3.0)), Ellipsoid((4.0, 0.0, 0.0), (3.0, 2.0, 3.0))
    expected = np.maximum(drawn(seen, one), drawn(seen, other))
    np.testing.assert_allclose(union(seen, [one, other]), expected, atol=1e-4)


@pytest.mark.parametrize(
    ("start", "end"),
    [((-8, 0, 0), (8, 0, 0)), ((0, 0, -8), (0, 0, 8)), ((-6, 0, -6), (6, 0, 6)), ((-8, 0, 2), (8, 0, -3))],
)
def test_a_tube_holds_the_volume_that_it_should(start: tuple[int, ...], end: tuple[int, ...]) -> None:
    seen = camera("PA", size=240)
    points = np.linspace(np.asarray(start, dtype=float), np.asarray(end, dtype=float), 12)
    image = sweep(seen, [Tube(points, np.full(12, 0.8))])
    scale = seen.magnification(0.0)
    length = np.linalg.norm(points[-1] - points[0])
    volume = image.sum() * seen.pixel_cm**2 / scale**3
    assert volume == pytest.approx(np.pi * 0.8**2 * length, rel=0.08)
    assert image.max() == pytest.approx(1.6 * scale, rel=0.06)


def test_a_tube_thinner_than_a_pixel_keeps_its_weight() -> None:
    seen = camera("PA", size=160)
    points = np.linspace([-8.0, 0.0, 0.0], [8.0, 0.0, 0.0], 5)
    thin, thick = (sweep(seen, [Tube(points, np.full(5, radius))]).sum() for radius in (0.05, 0.5))
    assert thick / thin == pytest.approx(100, rel=0.25)


def test_a_hollow_tube_is_brighter_at_its_walls() -> None:
    points = np.linspace([-8.0, 0.0, 0.0], [8.0, 0.0, 0.0], 5)
    profile = sweep(camera(size=240), [Tube(points, np.full(5, 1.5), 1.0, 0.95)])[:, 120]
    assert profile[120] < 0.5 * profile.max()


def test_no_tubes_are_nothing() -> None:
    assert sweep(camera(), []).sum() == 0


def test_a_ramp_rises_from_nothing_to_one() -> None:
    np.testing.assert_allclose(ramp(np.array([-2.0, 0.0, 2.0], dtype=np.float32), 1.0), [0.0, 0.5, 1.0])
