"""Kinds of chests to train and to measure on: hard frontal ones, and views that must not be read.

A kind is a function that draws a scene, and perhaps spoils the image afterwards. A chest that is
turned by up to 20 degrees is a rotated frontal view, from 30 to 60 degrees it is an oblique view,
from 70 degrees a lateral one. Nothing is trained or measured at the angles between.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from training.view_check.chest import (
    NONE,
    ON_THE_LEFT,
    ON_THE_RIGHT,
    SUPINE,
    Scene,
    Sides,
    radiograph,
)

Pixels: TypeAlias = NDArray[np.uint8]
Rng: TypeAlias = np.random.Generator

FRONTAL_DEGREES = 20.0
OBLIQUE_DEGREES = (30.0, 60.0)
LATERAL_DEGREES = (70.0, 110.0)


def _either(rng: Rng, value: float, other: float = 0.0) -> Sides:
    return (value, other) if rng.random() < 0.5 else (other, value)


def _sign(rng: Rng) -> float:
    return 1.0 if rng.random() < 0.5 else -1.0


def _plain(rng: Rng) -> Scene:
    """Return a usual frontal scene, with random opacities."""
    portable = bool(rng.random() < 0.4)
    arms = ("down", "away", "raised", "forward")
    return Scene(
        turn=np.deg2rad(rng.uniform(-12.0, 12.0)),
        portable=portable,
        arms=str(rng.choice(arms, p=(0.6, 0.25, 0.12, 0.03))),
        patches=(int(rng.integers(0, 3)), int(rng.integers(0, 3))),
        fat=rng.uniform(0.0, 1.5),
        cables=int(rng.integers(0, 3)) if portable else 0,
    )


def _white_lung(rng: Rng) -> Scene:
    white = rng.uniform(0.7, 0.97)
    side = _either(rng, white, rng.uniform(0.0, 0.2))
    push = (1.0 if side[0] > side[1] else -1.0) * rng.uniform(-3.0, 3.0)
    return replace(_plain(rng), white=side, shift=push)


def _white_lungs(rng: Rng) -> Scene:
    return replace(_plain(rng), white=(rng.uniform(0.5, 0.95), rng.uniform(0.5, 0.95)), patches=(3, 3))


def _pneumonectomy(rng: Rng) -> Scene:
    side = _either(rng, rng.uniform(0.9, 0.97))
    return replace(_plain(rng), white=side, shift=(-1.0 if side[0] else 1.0) * rng.uniform(2.5, 5.5))


def _rotated(rng: Rng) -> Scene:
    return replace(_plain(rng), turn=np.deg2rad(_sign(rng) * rng.uniform(10.0, FRONTAL_DEGREES)))


def _portable(rng: Rng) -> Scene:
    scene = replace(_plain(rng), portable=True, cables=int(rng.integers(3, 9)))
    patches = (int(rng.integers(0, 5)), int(rng.integers(0, 5)))
    if rng.random() < 0.5:
        return replace(scene, down=SUPINE, fluid=(rng.uniform(0.0, 6.0), rng.uniform(0.0, 6.0)))
    return replace(scene, patches=patches)


def _big_heart(rng: Rng) -> Scene:
    return replace(_plain(rng), heart=rng.uniform(0.3, 0.7))


def _fluid(rng: Rng) -> Scene:
    return replace(_plain(rng), fluid=(rng.uniform(0.0, 13.0), rng.uniform(0.0, 13.0)))


def _level(rng: Rng) -> Scene:
    """Return a hydropneumothorax of an upright patient: a horizontal level."""
    side = rng.random() < 0.5
    fluid, gas = rng.uniform(1.0, 9.0), rng.uniform(2.0, 16.0)
    return replace(
        _plain(rng), fluid=(fluid, 0.0) if side else (0.0, fluid), gas=(gas, 0.0) if side else (0.0, gas)
    )


def _obese(rng: Rng) -> Scene:
    return replace(_plain(rng), fat=rng.uniform(4.0, 8.0), arms="down")


def _child(rng: Rng) -> Scene:
    return replace(
        _plain(rng), child=rng.uniform(0.5, 1.0), fat=0.0, arms=str(rng.choice(["raised", "away", "down"]))
    )


Spoil: TypeAlias = Callable[[Pixels, Rng], Pixels]


def _as_it_is(image: Pixels, rng: Rng) -> Pixels:
    return image


def _tilted(image: Pixels, rng: Rng) -> Pixels:
    angle = _sign(rng) * rng.uniform(7.0, 15.0)
    return np.asarray(Image.fromarray(image).rotate(angle, Image.Resampling.BILINEAR))


def _curved(image: Pixels, rng: Rng) -> Pixels:
    """Return the image with the rows displaced along a curve, as in scoliosis."""
    size = len(image)
    rows = np.linspace(0.0, 1.0, size)
    bend = (
        _sign(rng) * rng.uniform(0.05, 0.11) * np.sin(np.pi * (rng.uniform(1.2, 2.5) * rows + rng.random()))
    )
    lean = rng.uniform(-0.12, 0.12) * (rows - 0.5)
    shifts = np.rint((bend - bend.mean() + lean) * size).astype(int)
    return np.stack([np.roll(row, shift) for row, shift in zip(image, shifts, strict=True)])


def _cropped(image: Pixels, rng: Rng) -> Pixels:
    size = len(image)
    width, height = (int(size * rng.uniform(0.62, 0.85)) for _ in range(2))
    left = int((size - width) * rng.uniform(0.2, 0.8))
    top = int((size - height) * rng.uniform(0.1, 0.7))
    part = Image.fromarray(image[top : top + height, left : left + width])
    return np.asarray(part.resize((size, size), Image.Resampling.BILINEAR))


def _collimated(image: Pixels, rng: Rng) -> Pixels:
    """Return the image with a border, often tilted, black or white."""
    size = len(image)
    edge = rng.uniform(0.02, 0.17, 4) * size
    corners = [(edge[0], edge[1]), (size - edge[2], edge[1]), (size - edge[2], size - edge[3])]
    corners.append((edge[0], size - edge[3]))
    jitter = rng.uniform(-0.03, 0.03, (4, 2)) * size
    mask = Image.new("L", (size, size))
    points = [(x + dx, y + dy) for (x, y), (dx, dy) in zip(corners, jitter, strict=True)]
    ImageDraw.Draw(mask).polygon(points, fill=255)
    border = 255 if rng.random() < 0.3 else int(rng.integers(0, 40))
    return np.where(np.asarray(mask) > 0, image, np.uint8(border)).astype(np.uint8)


def _written_on(image: Pixels, rng: Rng) -> Pixels:
    """Return the image with markers, text and label boxes."""
    picture = Image.fromarray(image.copy())
    pen, size = ImageDraw.Draw(picture), len(image)
    for _ in range(int(rng.integers(2, 7))):
        x, y = rng.uniform(0.0, 0.85, 2) * size
        text = str(rng.choice(["L", "R", "AP", "PORTABLE", "12:30", "SITZEND", "ERECT", "AP MOBIL L"]))
        font = ImageFont.load_default(size=float(rng.uniform(8.0, 20.0)))
        if rng.random() < 0.3:
            pen.rectangle(pen.textbbox((x, y), text, font=font), fill=int(rng.choice([0, 255])))
        pen.text((x, y), text, fill=int(rng.integers(150, 256)), font=font)
    return np.asarray(picture)


def _badly_exposed(image: Pixels, rng: Rng) -> Pixels:
    grey = image / 255.0
    if rng.random() < 0.5:
        shown = (grey - rng.uniform(0.25, 0.45)) / rng.uniform(0.4, 0.6)
    else:
        shown = grey / rng.uniform(0.45, 0.65)
    return (np.clip(shown, 0.0, 1.0) * 255.0).astype(np.uint8)


def _noisy(image: Pixels, rng: Rng) -> Pixels:
    step = int(rng.integers(1, 3))
    cells = -(-len(image) // step)
    grain = np.kron(rng.standard_normal((cells, cells)), np.ones((step, step)))
    grain = grain[: len(image), : len(image)] * rng.uniform(20.0, 45.0)
    return np.clip(image + grain, 0.0, 255.0).astype(np.uint8)


def _processed(image: Pixels, rng: Rng) -> Pixels:
    """Return the image with another manufacturer's curve, contrast and edge enhancement."""
    grey = image.astype(np.float32) / 255.0
    wide = _blurred(grey, rng.uniform(8.0, 22.0))
    shown = grey - rng.uniform(0.3, 0.9) * (wide - wide.mean())
    shown = shown + rng.uniform(0.3, 2.0) * (shown - _blurred(shown, rng.uniform(1.0, 5.0)))
    low, high = np.quantile(shown, (0.01, 0.99))
    shown = np.clip((shown - low) / max(float(high - low), 1e-6), 0.0, 1.0) ** rng.uniform(0.5, 2.0)
    processed: Pixels = (shown * 255.0).astype(np.uint8)
    return processed


def _blurred(grey: NDArray[np.float32], radius: float) -> NDArray[np.float32]:
    blurred = Image.fromarray((np.clip(grey, 0.0, 1.0) * 255.0).astype(np.uint8)).filter(
        ImageFilter.GaussianBlur(radius)
    )
    return np.asarray(blurred, dtype=np.float32) / np.float32(255.0)


def _soft(image: Pixels, rng: Rng) -> Pixels:
    """Return a blurred image, as of a patient who breathes."""
    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(rng.uniform(1.0, 2.5))))


HARD: Mapping[str, tuple[Callable[[Rng], Scene], Spoil]] = MappingProxyType(
    {
        "one white lung": (_white_lung, _as_it_is),
        "two white lungs": (_white_lungs, _as_it_is),
        "pneumonectomy": (_pneumonectomy, _as_it_is),
        "fluid on both sides": (_fluid, _as_it_is),
        "air and fluid, upright": (_level, _as_it_is),
        "big heart": (_big_heart, _as_it_is),
        "rotated by 10 to 20 degrees": (_rotated, _as_it_is),
        "tilted": (_plain, _tilted),
        "scoliosis": (_plain, _curved),
        "portable, with devices and cables": (_portable, _as_it_is),
        "portable, collimated": (_portable, _collimated),
        "obese": (_obese, _as_it_is),
        "child's proportions": (_child, _as_it_is),
        "cropped": (_plain, _cropped),
        "collimated": (_plain, _collimated),
        "markers and text": (_plain, _written_on),
        "badly exposed": (_plain, _badly_exposed),
        "noisy": (_plain, _noisy),
        "other processing": (_plain, _processed),
        "blurred": (_plain, _soft),
    }
)
"""Kinds of hard frontal images."""

_SPOILS = (
    _tilted,
    _curved,
    _cropped,
    _collimated,
    _written_on,
    _badly_exposed,
    _noisy,
    _processed,
    _soft,
)


def hard_frontal(kind: str, rng: Rng, size: int) -> Pixels:
    """Return an image of a kind of HARD."""
    scene, spoil = HARD[kind]
    return spoil(radiograph(scene(rng), rng, size), rng)


def oblique(rng: Rng, size: int) -> Pixels:
    """Return a chest turned by 30 to 60 degrees, to either side."""
    turn = np.deg2rad(_sign(rng) * rng.uniform(*OBLIQUE_DEGREES))
    arms = str(rng.choice(["raised", "forward", "down", "away"]))
    return _perhaps_spoilt(radiograph(replace(_disease(rng), turn=turn, arms=arms), rng, size), rng)


def lateral(rng: Rng, size: int) -> Pixels:
    """Return a chest from the side, turned by 70 to 110 degrees."""
    turn = np.deg2rad(_sign(rng) * rng.uniform(*LATERAL_DEGREES))
    arms = str(rng.choice(["raised", "forward", "down"], p=(0.5, 0.4, 0.1)))
    return _perhaps_spoilt(radiograph(replace(_disease(rng), turn=turn, arms=arms), rng, size), rng)


def decubitus(rng: Rng, size: int) -> Pixels:
    """Return a patient who lies on one side, shown upright: a level parallel to the spine."""
    on_the_right = rng.random() < 0.5
    below = _pair(rng.uniform(6.0, 11.0), on_the_right)
    above = _pair(rng.uniform(4.0, 8.0), not on_the_right)
    same_side = _pair(rng.uniform(4.0, 10.0), on_the_right)
    fluid, gas = ((below, NONE), (NONE, above), (below, same_side), (below, above))[int(rng.integers(4))]
    scene = replace(
        _disease(rng),
        down=ON_THE_RIGHT if on_the_right else ON_THE_LEFT,
        arms=str(rng.choice(["raised", "away", "down"], p=(0.6, 0.2, 0.2))),
        portable=bool(rng.random() < 0.5),
        fluid=fluid,
        gas=gas,
        shift=(-1.0 if on_the_right else 1.0) * rng.uniform(0.0, 2.0),
    )
    return _perhaps_spoilt(radiograph(scene, rng, size), rng)


def on_the_side(rng: Rng, size: int) -> Pixels:
    """Return a decubitus view as it was taken: the patient lies on one side in the image."""
    return np.ascontiguousarray(np.rot90(decubitus(rng, size), 1 if rng.random() < 0.5 else 3))


def _pair(value: float, right: bool) -> Sides:
    return (value, 0.0) if right else (0.0, value)


def _disease(rng: Rng) -> Scene:
    """Return a plain scene, or one of a white lung, a big heart, fat or a child."""
    return (_plain, _plain, _white_lung, _big_heart, _obese, _child, _portable, _fluid)[int(rng.integers(8))](
        rng
    )


def _perhaps_spoilt(image: Pixels, rng: Rng) -> Pixels:
    if rng.random() < 0.5:
        return image
    return _SPOILS[int(rng.integers(len(_SPOILS)))](image, rng)
