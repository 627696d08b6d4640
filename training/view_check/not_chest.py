"""Images that are not chest radiographs: other body parts, and images of other kinds.

Body parts are tissue thickness in centimetres, developed like the phantom chests, so that neither
noise nor grey levels reveal their class. All shapes are analytic, text is in ImageDraw's default
font, and no file is read. Shape suffixes as in `training.phantom.rendering.camera`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from training.phantom.prevalence import sample_findings
from training.phantom.rendering.camera import Array
from training.phantom.rendering.detector import Exposure, develop, smooth_noise
from training.phantom.rendering.radiograph import render

Rng: TypeAlias = np.random.Generator
Pixels: TypeAlias = NDArray[np.uint8]
Point: TypeAlias = tuple[float, float]

_BONE = 2.6
"""Absorption of bone relative to soft tissue, as in training.phantom.rendering.radiograph."""


class _Field:
    """Field of a detector: solids that add their thickness along each ray, in centimetres."""

    def __init__(self, size: int, width_cm: float) -> None:
        self.tissue_HW = np.zeros((size, size), dtype=np.float32)
        line = ((np.arange(size) + 0.5) / size - 0.5) * width_cm
        self._x_HW, self._y_HW = np.meshgrid(line.astype(np.float32), line.astype(np.float32))

    def rod(self, a: Point, b: Point, radii: tuple[float, float], gain: float = 1.0) -> None:
        """Add a round rod from *a* to *b*, with a radius at each end."""
        if (
            min(a[1] - radii[0], b[1] - radii[1]) > self._y_HW[-1, 0]
            or max(a[1] + radii[0], b[1] + radii[1]) < self._y_HW[0, 0]
        ):
            return  # above or below the field
        along = np.subtract(b, a)
        share_HW = (self._x_HW - a[0]) * along[0] + (self._y_HW - a[1]) * along[1]
        share_HW = np.clip(share_HW / max(float(along @ along), 1e-6), 0.0, 1.0)
        off_HW = np.hypot(self._x_HW - a[0] - share_HW * along[0], self._y_HW - a[1] - share_HW * along[1])
        radius_HW = radii[0] + (radii[1] - radii[0]) * share_HW
        self.tissue_HW += np.float32(2.0 * gain) * np.sqrt(np.maximum(radius_HW**2 - off_HW**2, 0.0))

    def bone(self, a: Point, b: Point, radii: tuple[float, float], gain: float = 1.0) -> None:
        """Add a bone: a dense shell around a spongy core, with thicker ends."""
        self.rod(a, b, radii, _BONE * gain)
        self.rod(a, b, (0.62 * radii[0], 0.62 * radii[1]), -0.75 * _BONE * gain)
        for end, radius in ((a, radii[0]), (b, radii[1])):
            self.ball(end, (1.45 * radius, 1.25 * radius, radius), gain=0.6 * gain)

    def ball(
        self, centre: Point, radii: tuple[float, float, float], turn: float = 0.0, gain: float = 1.0
    ) -> None:
        """Add an ellipsoid; *radii* are along and across *turn* (radians), and along the ray."""
        x_HW, y_HW = self._x_HW - centre[0], self._y_HW - centre[1]
        cosine, sine = np.float32(np.cos(turn)), np.float32(np.sin(turn))
        square_HW = ((cosine * x_HW + sine * y_HW) / radii[0]) ** 2
        square_HW += ((cosine * y_HW - sine * x_HW) / radii[1]) ** 2
        self.tissue_HW += np.float32(2.0 * radii[2] * gain) * np.sqrt(np.maximum(1.0 - square_HW, 0.0))

    def developed(self, rng: Rng) -> Pixels:
        """Return the field as a displayed image."""
        exposure = Exposure.sample(rng, portable=bool(rng.random() < 0.3))
        tissue_HW = np.maximum(self.tissue_HW, 0.0)
        return (develop(tissue_HW, exposure, rng) * np.float32(255.0) + np.float32(0.5)).astype(np.uint8)


def limb(rng: Rng, size: int) -> Pixels:
    """Return an arm or a leg with one or two bones, often with a joint, in any direction."""
    field = _Field(size, rng.uniform(20.0, 44.0))
    for _ in range(int(rng.integers(1, 3))):
        turn, thick = rng.uniform(0.0, np.pi), rng.uniform(2.5, 8.0)
        middle = rng.uniform(-6.0, 6.0, 2)
        joint = rng.uniform(-14.0, 14.0)
        way = np.array([np.cos(turn), np.sin(turn)])
        across = np.array([-way[1], way[0]])
        ends = [middle - 34.0 * way, middle + joint * way, middle + 34.0 * way]
        radii = thick * rng.uniform(0.7, 1.2, 3)
        for part in (0, 1):
            a, b = ends[part], ends[part + 1]
            field.rod(_at(a), _at(b), (radii[part], radii[part + 1]))
            count = int(rng.integers(1, 3))
            gap = 0.55 * radii[part + 1] if count == 2 else 0.0
            for n in range(count):
                offset = (2 * n - 1) * gap / 2 * across if count == 2 else 0.0 * across
                width = radii[part + 1] * rng.uniform(0.18, 0.34)
                field.bone(_at(a + offset), _at(b - 0.4 * way * (1 - 2 * part) + offset), (width, width))
    return field.developed(rng)


def hand(rng: Rng, size: int) -> Pixels:
    """Return a hand or a foot: a palm, five rays of small bones, a wrist."""
    field = _Field(size, rng.uniform(18.0, 30.0))
    turn = rng.uniform(0.0, 2.0 * np.pi)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    centre = rng.uniform(-2.0, 2.0, 2)

    def placed(x: float, y: float) -> Point:
        return _at(rotation @ np.array([x, y]) + centre)

    field.ball(placed(0.0, 1.0), (4.2, 5.0, 1.4), turn)
    field.rod(placed(0.0, 4.0), placed(0.0, 20.0), (2.6, 3.4))
    for offset in (-1.1, 1.1):
        field.bone(placed(offset, 7.5), placed(offset, 20.0), (0.8, 0.9))
    for n in range(8):
        where = placed(1.1 * (n % 4 - 1.5), 5.2 + 1.2 * (n // 4))
        field.ball(where, (0.7, 0.6, 0.6), gain=_BONE)
    spread = rng.uniform(0.05, 0.28)
    for n in range(5):
        lean = (n - 2) * spread - (0.5 if n == 0 else 0.0)
        step = np.array([np.sin(lean), -np.cos(lean)])
        at = np.array([1.8 * (n - 2), 3.5 if n else 4.5])
        for length, radius in zip((5.0, 3.2, 2.1, 1.6), (0.42, 0.38, 0.32, 0.28), strict=True):
            length *= rng.uniform(0.8, 1.1)
            end = at + length * step
            field.rod(placed(*at), placed(*end), (2.3 * radius, 2.1 * radius))
            field.bone(placed(*(at + 0.25 * step)), placed(*(end - 0.25 * step)), (radius, 0.85 * radius))
            at = end
    return field.developed(rng)


def skull(rng: Rng, size: int) -> Pixels:
    """Return a head from the front or the side: a shell of bone, sockets, teeth, a neck."""
    field = _Field(size, rng.uniform(24.0, 36.0))
    x, y = rng.uniform(-2.0, 2.0, 2)
    side = rng.random() < 0.5
    wide = 9.2 if side else 7.4
    field.ball((x, y - 2.0), (wide + 0.9, 9.6, 8.0), gain=1.0)
    field.ball((x, y - 2.0), (wide, 8.8, 7.4), gain=_BONE)
    field.ball((x, y - 2.0), (wide - 0.6, 8.2, 6.9), gain=-_BONE)
    field.rod((x + (2.0 if side else 0.0), y + 4.0), (x + (3.0 if side else 0.0), y + 22.0), (6.0, 7.0))
    for n in range(6):
        field.ball((x + (2.5 if side else 0.0), y + 7.0 + 2.1 * n), (1.4, 0.9, 1.4), gain=_BONE)
    for sign in (-1.0, 1.0):
        where = (x - 6.0, y + 1.0) if side else (x + 3.0 * sign, y + 1.0)
        field.ball(where, (1.9, 1.6, 2.2), gain=-1.2)
        field.bone((x + 5.0 * sign, y + 4.0), (x + 1.5 * sign, y + 8.5), (0.9, 0.9))
    field.ball((x - (4.0 if side else 0.0), y + 6.0), (2.8, 0.9, 1.2), gain=2.0 * _BONE)
    for _ in range(int(rng.integers(0, 3))):
        field.ball((x + rng.uniform(-4, 4), y + rng.uniform(-1, 5)), (1.8, 1.2, 1.5), gain=-1.0)
    return field.developed(rng)


def abdomen(rng: Rng, size: int) -> Pixels:
    """Return a frontal abdomen: flanks, spine, pelvis, bowel gas, sometimes the lung bases."""
    field = _Field(size, rng.uniform(34.0, 44.0))
    x, y = rng.uniform(-2.0, 2.0), rng.uniform(-7.0, 7.0)
    half, deep = rng.uniform(13.0, 19.0), rng.uniform(8.0, 12.0)
    field.rod((x, y - 60.0), (x, y + 60.0), (half, half), deep / half)
    _spine(field, x, y - 30.0, 24, rng)
    pelvis = y + rng.uniform(5.0, 12.0)
    for sign in (-1.0, 1.0):
        field.ball((x + 8.5 * sign, pelvis), (5.2, 6.6, 0.8), turn=0.5 * sign, gain=_BONE)
        field.ball((x + 6.0 * sign, pelvis + 10.0), (4.6, 5.2, 0.6), gain=_BONE)
        field.ball((x + 6.0 * sign, pelvis + 10.0), (2.6, 3.0, 0.6), gain=-_BONE)
        field.bone((x + 9.5 * sign, pelvis + 10.0), (x + 12.0 * sign, pelvis + 30.0), (2.0, 1.5))
        field.ball((x + 6.5 * sign, pelvis - 12.0), (2.6, 5.2, 2.2), turn=0.2 * sign, gain=0.12)
        if rng.random() < 0.5:  # a lung base, up to the top edge of the image
            field.ball((x + 7.5 * sign, pelvis - 40.0), (6.0, rng.uniform(10.0, 18.0), 6.0), gain=-0.75)
        for n in range(3):
            top = pelvis - 19.0 - 3.2 * n
            field.bone((x + 2.5 * sign, top), (x + (half - 2.0) * sign, top + 4.0), (0.5, 0.4), 0.6)
    for _ in range(int(rng.integers(3, 30))):
        where = (x + rng.uniform(-0.8, 0.8) * half, pelvis + rng.uniform(-22.0, 5.0))
        wide, long = rng.uniform(0.6, 2.6), rng.uniform(0.8, 5.0)
        field.ball(where, (wide, long, min(wide, long)), rng.uniform(0.0, np.pi), -rng.uniform(0.5, 1.0))
    return field.developed(rng)


def pelvis_and_spine(rng: Rng, size: int) -> Pixels:
    """Return a spine, from the front or the side, or a shoulder: bone in a field of soft tissue."""
    field = _Field(size, rng.uniform(18.0, 40.0))
    x, y = rng.uniform(-6.0, 6.0), rng.uniform(-3.0, 3.0)
    field.rod((x, -70.0), (x, 70.0), (rng.uniform(7.0, 20.0),) * 2, rng.uniform(0.5, 1.1))
    _spine(field, x, y - 30.0, 24, rng, curve=rng.uniform(-3.0, 3.0))
    if rng.random() < 0.5:
        sign = 1.0 if rng.random() < 0.5 else -1.0
        field.rod((x + 9.0 * sign, y - 3.0), (x + 11.0 * sign, y + 40.0), (6.0, 5.0))
        field.bone((x + 9.0 * sign, y - 3.0), (x + 11.0 * sign, y + 40.0), (2.4, 1.6))
        field.bone((x, y - 6.0), (x + 9.0 * sign, y - 6.0), (0.8, 0.8))
        field.ball((x + 4.0 * sign, y + 3.0), (3.5, 7.0, 0.6), 0.3 * sign, _BONE)
    return field.developed(rng)


def slice_of_body(rng: Rng, size: int) -> Pixels:
    """Return a slice through a trunk or a head, as in CT and MR; some have two lungs."""
    field = _Field(size, rng.uniform(36.0, 50.0))
    x, y = rng.uniform(-3.0, 3.0, 2)
    wide, high = rng.uniform(12.0, 20.0), rng.uniform(9.0, 14.0)
    field.ball((x, y), (wide, high, 0.5))
    field.ball((x, y), (0.9 * wide, 0.85 * high, 0.5), gain=-rng.uniform(0.0, 0.4))
    if rng.random() < 0.6:
        for sign in (-1.0, 1.0):
            field.ball((x + 0.47 * wide * sign, y), (0.35 * wide, 0.66 * high, 0.45), 0.15 * sign, -0.9)
    for _ in range(int(rng.integers(2, 9))):
        where = (x + rng.uniform(-0.6, 0.6) * wide, y + rng.uniform(-0.6, 0.6) * high)
        radius = rng.uniform(0.6, 4.0)
        field.ball(
            where, (radius, radius * rng.uniform(0.5, 1.0), 0.3), rng.uniform(0, 3), rng.uniform(-1, 1)
        )
    field.ball((x, y + 0.6 * high), (2.0, 1.8, 0.5), gain=_BONE)
    grey_HW = np.clip(field.tissue_HW, 0.0, None) / rng.uniform(1.0, 2.2)
    grey_HW += rng.uniform(0.0, 0.06) * rng.standard_normal(grey_HW.shape)
    return _shown(grey_HW)


def breast(rng: Rng, size: int) -> Pixels:
    """Return a mammogram: half an ellipse at one edge, with strands."""
    field = _Field(size, 30.0)
    sign = 1.0 if rng.random() < 0.5 else -1.0
    field.ball((15.0 * sign, rng.uniform(-3, 3)), (rng.uniform(8, 16), rng.uniform(9, 14), 2.5))
    shape_HW = field.tissue_HW > 0.2
    noise_HW = smooth_noise(rng, 16, size) + 0.7 * smooth_noise(rng, 40, size)
    field.tissue_HW += 0.35 * np.maximum(noise_HW, 0.0) * shape_HW
    return field.developed(rng)


def solids(rng: Rng, size: int) -> Pixels:
    """Return solids, bones and cavities in random arrangement."""
    field = _Field(size, rng.uniform(20.0, 44.0))
    for _ in range(int(rng.integers(1, 12))):
        a, b = rng.uniform(-20.0, 20.0, 2), rng.uniform(-20.0, 20.0, 2)
        radii = (rng.uniform(0.5, 7.0), rng.uniform(0.5, 7.0))
        kind = rng.random()
        if kind < 0.3:
            field.rod(_at(a), _at(b), radii)
        elif kind < 0.55:
            field.bone(_at(a), _at(b), (0.3 * radii[0], 0.3 * radii[1]))
        else:
            gain = rng.choice([-0.7, 0.5, 1.0, _BONE])
            field.ball(_at(a), (2 * radii[0], 2 * radii[1], 3.0), rng.uniform(0, np.pi), gain)
    return field.developed(rng)


def noise(rng: Rng, size: int) -> Pixels:
    """Return noise of any coarseness, a gradient or a test pattern."""
    line = np.linspace(-1.0, 1.0, size)
    x_HW, y_HW = np.meshgrid(line, line)
    kind = int(rng.integers(5))
    if kind == 0:
        grey_HW = rng.random((size, size))
    elif kind == 1:
        parts = [smooth_noise(rng, cells, size) / cells**0.7 for cells in (3, 6, 12, 24, 48)]
        grey_HW = 0.5 + 0.4 * np.sum(parts, axis=0)
    elif kind == 2:
        turn = rng.uniform(0.0, 2 * np.pi)
        grey_HW = 0.5 + 0.5 * (x_HW * np.cos(turn) + y_HW * np.sin(turn))
    elif kind == 3:
        grey_HW = 1.2 - np.hypot(x_HW - rng.uniform(-1, 1), y_HW - rng.uniform(-1, 1)) * rng.uniform(0.4, 1.5)
    else:
        waves = rng.integers(1, 16, 2)
        grey_HW = 0.5 + 0.5 * np.sign(np.sin(np.pi * waves[0] * x_HW) * np.sin(np.pi * waves[1] * y_HW))
    return _shown(grey_HW + rng.uniform(0.0, 0.1) * rng.standard_normal((size, size)))


def page(rng: Rng, size: int) -> Pixels:
    """Return a page of text, dark on bright or the reverse, such as an order or a dose report."""
    dark = rng.random() < 0.4
    paper, ink = (int(rng.integers(0, 50)), int(rng.integers(150, 256))) if dark else (240, 20)
    canvas = Image.new("L", (2 * size, 2 * size), paper)
    pen = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(int(rng.integers(9, 30)))
    y = int(rng.integers(0, 30))
    while y < 2 * size:
        words = "".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz     0123456789:"), rng.integers(3, 60)))
        pen.text((int(rng.integers(4, 60)), y), words, fill=ink, font=font)
        y += int(rng.integers(12, 46))
    return np.asarray(canvas.resize((size, size), Image.Resampling.BOX))


def screen(rng: Rng, size: int) -> Pixels:
    """Return a secondary capture: panels, words and curves, sometimes with small chests."""
    canvas = Image.new("L", (2 * size, 2 * size), int(rng.integers(0, 90)))
    pen = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(int(rng.integers(10, 24)))
    for _ in range(int(rng.integers(2, 9))):
        x, y = (int(each) for each in rng.integers(0, 2 * size - 20, 2))
        width, height = (int(each) for each in rng.integers(20, size, 2))
        pen.rectangle((x, y, x + width, y + height), fill=int(rng.integers(256)), outline=255)
        pen.text((x + 4, y + 4), "".join(rng.choice(list("abcdef 0123:"), 14)), fill=int(rng.integers(256)))
        if rng.random() < 0.4:
            points = [(x + n * 4, y + height / 2 + rng.uniform(-20, 20)) for n in range(width // 4)]
            pen.line(points, fill=255, width=2) if len(points) > 1 else None
    if rng.random() < 0.35:
        side = int(rng.integers(size // 2, int(0.85 * size)))
        chest = Image.fromarray(render(sample_findings(rng), rng, 128)).resize((side, side))
        for _ in range(int(rng.integers(1, 4))):
            left, top = (int(each) for each in rng.integers(0, 2 * size - side, 2))
            canvas.paste(chest, (left, top))
    pen.text((8, 8), "PATIENT LIST  12:30", fill=255, font=font)
    return np.asarray(canvas.resize((size, size), Image.Resampling.BOX))


KINDS: Mapping[str, Callable[[Rng, int], Pixels]] = MappingProxyType(
    {
        "limb": limb,
        "hand": hand,
        "skull": skull,
        "abdomen": abdomen,
        "spine or shoulder": pelvis_and_spine,
        "slice": slice_of_body,
        "breast": breast,
        "solids": solids,
        "noise": noise,
        "page": page,
        "screen": screen,
    }
)


def _spine(field: _Field, x: float, top: float, count: int, rng: Rng, curve: float = 0.0) -> None:
    step = rng.uniform(2.6, 3.6)
    for n in range(count):
        at = x + curve * np.sin(0.12 * n)
        y = top + step * n
        field.rod((at - 1.3, y), (at + 1.3, y), (0.42 * step, 0.42 * step), 0.8 * _BONE)
        field.rod((at - 3.4, y), (at + 3.4, y), (0.35, 0.35), 0.6 * _BONE)


def _at(point: Array) -> Point:
    return float(point[0]), float(point[1])


def _shown(grey_HW: Array) -> Pixels:
    shown: Pixels = (np.clip(grey_HW, 0.0, 1.0) * 255.0).astype(np.uint8)
    return shown
