"""Swept tubes: ribs, vessels, catheters and leads along curves of the body, in any view.

A curve is sampled so finely that neighbouring samples share a column (if it is flat) or a row (if
it is steep). Each sample paints one strip of pixels across the curve: the chord of a circle, which
is longer if the tube is oblique to the detector. Between flat and steep, the two kinds of strips
blend. All tubes of one call are painted together, by one weighted bin count. Shape suffixes: `_T`
tubes, `_S` segments, `_M` samples, `_MK` pixels of the strips of the samples; others as in
`camera`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from training.phantom.rendering.camera import Array, Camera

_STEP_PX = 0.7
_MOST_OBLIQUE = 1.8
"""Maximum path of a ray along a tube, relative to its diameter; in the body, tubes are short."""


@dataclass(frozen=True, slots=True)
class Tube:
    """A tube along a curve of the body, in centimetres.

    Attributes:
        points_N3: vertices of the curve (N, 3).
        radius_N: radius at each vertex (N,).
        gain: density, one value or one at each vertex.
        core: share of the density that is missing within three quarters of the radius.
    """

    points_N3: Array
    radius_N: Array
    gain: Array | float = 1.0
    core: float = 0.0


class _Samples(NamedTuple):
    """Samples along the curves: position, direction and radius in pixels, density, core, tube."""

    column_M: Array
    row_M: Array
    across_M: Array
    down_M: Array
    radius_M: Array
    gain_M: Array
    core_M: Array
    tube_M: NDArray[np.int64]


def sweep(camera: Camera, tubes: Sequence[Tube]) -> Array:
    """Return the path lengths of rays in tubes times their gain, (H, W) float32, in centimetres."""
    size = camera.size
    image = np.zeros(size * size, dtype=np.float32)
    if tubes:
        samples = _samples(camera, tubes)
        # Share of a sample that is painted as an upright strip: 1 if flat, 0 if steep.
        upright_M = np.clip(0.5 + 2.2 * (np.abs(samples.across_M) - np.abs(samples.down_M)), 0.0, 1.0)
        for steep, share_M in ((False, upright_M), (True, 1.0 - upright_M)):
            index, weight = _strips(samples, share_M, size, steep=steep)
            image += np.bincount(index, weight, minlength=len(image)).astype(np.float32)
    return image.reshape(size, size) * np.float32(camera.pixel_cm)


def _samples(camera: Camera, tubes: Sequence[Tube]) -> _Samples:
    points_N3 = np.concatenate([tube.points_N3 for tube in tubes]).astype(np.float32)
    tube_N = np.repeat(np.arange(len(tubes)), [len(tube.points_N3) for tube in tubes])
    gain_N = np.concatenate([np.broadcast_to(tube.gain, len(tube.points_N3)) for tube in tubes])
    core_T = np.array([tube.core for tube in tubes], dtype=np.float32)
    seen_N3 = camera.to_detector(points_N3)
    radius_N = np.concatenate([tube.radius_N for tube in tubes]).astype(np.float32)
    radius_N = radius_N * (camera.magnification(seen_N3[:, 2]) / camera.pixel_cm)
    column_N, row_N = camera.pixels(points_N3)

    begin_S = np.flatnonzero(tube_N[1:] == tube_N[:-1])
    end_S = begin_S + 1
    across_S, down_S = column_N[end_S] - column_N[begin_S], row_N[end_S] - row_N[begin_S]
    length_S = np.maximum(np.hypot(across_S, down_S), 1e-3)
    along_S = np.abs(seen_N3[end_S, 2] - seen_N3[begin_S, 2]) / camera.pixel_cm
    oblique_S = np.hypot(1.0, along_S / length_S)
    # Seen end-on, a tube is covered by neighbouring samples: longer strips would stick out.
    oblique_S = np.minimum(oblique_S, _MOST_OBLIQUE**2 / oblique_S)
    direction_S2 = np.stack([across_S, down_S], axis=1) / length_S[:, None]
    direction_N2 = np.zeros((len(points_N3), 2), dtype=np.float32)
    direction_N2[begin_S] += direction_S2
    direction_N2[end_S] += direction_S2
    direction_N2 /= np.maximum(np.linalg.norm(direction_N2, axis=1), 1e-3)[:, None]

    count_S = np.ceil(length_S / _STEP_PX).astype(np.int64) + 1
    segment_M = np.repeat(np.arange(len(begin_S)), count_S)
    place_M = np.arange(len(segment_M)) - np.repeat(np.cumsum(count_S) - count_S, count_S)
    share_M = (place_M / count_S[segment_M]).astype(np.float32)
    vertex_M = begin_S[segment_M]

    def between(value_N: Array) -> Array:
        here_M: Array = value_N[vertex_M]
        return here_M + share_M * (value_N[vertex_M + 1] - here_M)

    tube_M = tube_N[vertex_M]
    return _Samples(
        between(column_N),
        between(row_N),
        between(direction_N2[:, 0]),
        between(direction_N2[:, 1]),
        between(radius_N),
        between(gain_N) * oblique_S[segment_M],
        core_T[tube_M],
        tube_M,
    )


def _strips(
    samples: _Samples, share_M: Array, size: int, *, steep: bool
) -> tuple[NDArray[np.integer[Any]], Array]:
    """Return flat index and chord of each painted pixel, in pixels; one strip per column or row."""
    if steep:
        major_M, minor_M, run_M, rise_M = samples.row_M, samples.column_M, samples.down_M, samples.across_M
    else:
        major_M, minor_M, run_M, rise_M = samples.column_M, samples.row_M, samples.across_M, samples.down_M
    line_M = np.rint(major_M)
    chosen_M = (share_M > 0.0) & (line_M >= 0) & (line_M < size)
    chosen_M[1:] &= (np.diff(line_M) != 0) | (np.diff(samples.tube_M) != 0) | (share_M[:-1] <= 0.0)
    line_M, share_M = line_M[chosen_M], share_M[chosen_M]
    run_M, rise_M = run_M[chosen_M], rise_M[chosen_M]
    slope_M = rise_M / np.where(np.abs(run_M) < 0.2, np.copysign(0.2, run_M), run_M)
    minor_M = minor_M[chosen_M] + (line_M - major_M[chosen_M]) * slope_M
    radius_M = samples.radius_M[chosen_M]
    half_M = radius_M * np.hypot(1.0, slope_M)
    soft_M = np.sqrt(half_M * half_M + 0.45)  # a tube thinner than a pixel is blurred, not lost
    if not len(soft_M):
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32)
    reach = int(np.ceil(soft_M.max()))
    pixel_MK = np.rint(minor_M).astype(np.int32)[:, None] + np.arange(-reach, reach + 1, dtype=np.int32)
    away_MK = (pixel_MK - minor_M[:, None]).astype(np.float32) / soft_M[:, None].astype(np.float32)
    square_MK = away_MK * away_MK
    painted_MK = (square_MK < 1.0) & (pixel_MK >= 0) & (pixel_MK < size)
    square = square_MK[painted_MK]
    sample = np.broadcast_to(np.arange(len(line_M), dtype=np.int32)[:, None], pixel_MK.shape)[painted_MK]
    chord = np.sqrt(1.0 - square)
    core_M = samples.core_M[chosen_M]
    if core_M.any():
        inner = np.sqrt(np.maximum(1.0 - square * np.float32(1.0 / 0.5625), 0.0))
        chord -= (0.75 * core_M)[sample] * inner
    weight_M = 2.0 * radius_M * samples.gain_M[chosen_M] * share_M * half_M / soft_M
    chord *= weight_M.astype(np.float32)[sample]
    line = line_M.astype(np.int32)[sample]
    pixel = pixel_MK[painted_MK]
    index = line * size + pixel if steep else pixel * size + line
    return np.asarray(index, dtype=np.int32), chord
