"""Rendering of a phantom body as a PA, AP or lateral radiograph.

Bone, fluid and metal are bright (MONOCHROME2). In frontal images, the left of the patient is on the
right; in lateral images, the front is on the left. The body depends only on the findings and the
state of the generator, so that all views of one state show the same body. Shape suffixes as in
`camera`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.phantom.findings import Findings, View
from training.phantom.rendering import opacities
from training.phantom.rendering.anatomy import Anatomy
from training.phantom.rendering.camera import Array, Camera
from training.phantom.rendering.detector import Exposure, develop, smooth_noise
from training.phantom.rendering.devices import devices
from training.phantom.rendering.lungs import lungs
from training.phantom.rendering.mediastinum import airways, soft_centre
from training.phantom.rendering.skeleton import skeleton
from training.phantom.rendering.solids import Ellipsoid, chords
from training.phantom.rendering.vessels import vessels

MIN_SIZE = 128
_BONE_OVER_TISSUE = 2.6
"""Absorption of a centimetre of bone, in centimetres of soft tissue."""

_WALL_CM = 1.9
_COLLAPSED = {"small": 0.12, "large": 0.6}
"""Additional density of the lung next to a pneumothorax, relative to a full lung, by size."""


def render(
    findings: Findings, rng: np.random.Generator, size: int = 224, view: View | None = None
) -> NDArray[np.uint8]:
    """Return a radiograph (size, size) uint8, from 0 (black) to 255 (white).

    Args:
        findings: findings to show.
        rng: source of random numbers for body and image.
        size: side of the image, in pixels.
        view: view to render; None renders the frontal view of the patient.

    Raises:
        ValueError: `size` is less than 128 pixels, at which thin lines vanish.
    """
    return (project(findings, rng, size, view) * np.float32(255.0) + np.float32(0.5)).astype(np.uint8)


def project(findings: Findings, rng: np.random.Generator, size: int = 224, view: View | None = None) -> Array:
    """Return the image of `render` before rounding: (size, size) float32 in [0, 1].

    Raises:
        ValueError: `size` is less than 128 pixels.
    """
    if size < MIN_SIZE:
        message = f"a radiograph of the thorax needs at least {MIN_SIZE} pixels per side, not {size}"
        raise ValueError(message)
    view = view or findings.patient.view
    entropy = int(rng.integers(2**63))
    body = np.random.default_rng([entropy, 0])
    image = np.random.default_rng([entropy, 1 + ("PA", "AP", "LATERAL").index(view)])
    anatomy = Anatomy.sample(findings, body)
    camera = _position(view, size, image)
    tissue_HW = _tissue(findings, anatomy, camera, body)
    exposure = Exposure.sample(image, portable=view == "AP")
    return develop(tissue_HW, exposure, image)


def _position(view: View, size: int, rng: np.random.Generator) -> Camera:
    """Position patient and detector; portable patients are more rotated and less centred."""
    loose = 2.0 if view == "AP" else 1.0
    x, y, z, turn = rng.uniform(-1.0, 1.0, 4)
    return Camera(
        view=view,
        size=size,
        field_cm=rng.uniform(39.0, 42.0) + (3.0 if view == "AP" else 0.0),
        x=0.7 * loose * x,
        y=1.0 * y + 0.5,
        z=-2.6 + 0.7 * loose * z,
        rotation=0.045 * loose * turn,
    )


def _tissue(findings: Findings, anatomy: Anatomy, camera: Camera, rng: np.random.Generator) -> Array:
    """Return the thickness of water-like tissue along each ray (H, W), in centimetres."""
    lung = lungs(findings, anatomy, camera, rng)
    central_HW = soft_centre(anatomy, camera, lung.open_HW)
    both_HW = lung.both()
    share_HW = np.maximum(both_HW + lung.free_HW - central_HW, 0.0) / np.maximum(both_HW + lung.free_HW, 0.1)
    air_HW = both_HW * share_HW
    noise_HW = smooth_noise(rng, 14, camera.size) + 0.6 * smooth_noise(rng, 34, camera.size)

    density = anatomy.lung_density
    filled_HW = opacities.consolidation(findings, anatomy, camera, rng)
    filled_HW *= np.clip(1.0 + 0.32 * noise_HW, 0.25, 1.6)
    filled_HW += opacities.atelectasis(findings, anatomy, camera, rng)
    filled_HW += opacities.nodule(findings, anatomy, camera, rng)
    filled_HW += opacities.oedema(findings, anatomy, camera, rng, lung, noise_HW)
    fullness = {"none": 1.0, "interstitial": 1.45, "alveolar": 1.35}[findings.oedema]
    vessels_HW = vessels(anatomy, camera, rng, fullness) * np.minimum(both_HW * 0.5, 1.0)
    filled_HW += 1.9 * vessels_HW + 0.012 * air_HW * noise_HW
    filled_HW = np.minimum(filled_HW, air_HW * 0.95)

    tissue_HW = _body(anatomy, camera)
    tissue_HW -= (1.0 - density) * (air_HW - filled_HW)
    for side_HW, air in (
        (lung.right_HW, findings.pneumothorax_right),
        (lung.left_HW, findings.pneumothorax_left),
    ):
        if air != "none":
            tissue_HW += (_COLLAPSED[air] * density) * side_HW * share_HW
    tissue_HW -= lung.free_HW * share_HW
    tissue_HW += 2.2 * lung.pleura_HW * share_HW
    tissue_HW -= 0.8 * airways(anatomy, camera)
    np.maximum(tissue_HW, 0.0, out=tissue_HW)
    tissue_HW += _BONE_OVER_TISSUE * skeleton(findings, anatomy, camera, rng)
    return tissue_HW + devices(findings, anatomy, camera, rng)


def _body(anatomy: Anatomy, camera: Camera) -> Array:
    """Return the thickness of a body without lungs (H, W): trunk, shoulders, neck, breasts, gas."""
    u_W, z_H = camera.grid()
    wall = _WALL_CM + anatomy.fat
    trunk = anatomy.half_width + wall
    depth = anatomy.half_depth + wall
    shoulder = 19.5 + anatomy.fat
    heights = [-30.0, -16.0, 3.0, 7.0, 10.0, 12.5, 14.5, 16.5, 24.0]
    if camera.lateral:  # arms raised
        sides = [trunk, trunk, trunk, 15.0, 13.0, 11.0, 8.0, 6.2, 6.0]
        depths = [depth - less for less in (0.0, 0.0, 0.0, 0.0, 0.2, 0.6, 1.2, 2.0, 4.0)]
    else:
        sides = [trunk - 0.5, trunk, trunk + 0.6, shoulder, shoulder, 16.0, 9.5, 6.6, 6.0]
        depths = [depth, depth, depth - 0.2, 10.5, 9.6, 8.4, 7.0, 6.4, 6.0]
    across_H: Array = np.interp(z_H, heights, sides).astype(np.float32)
    deep_H: Array = np.interp(z_H, heights, depths).astype(np.float32)
    middle_H = anatomy.middle_y(z_H)
    if camera.lateral:
        part_HW = (u_W - middle_H[:, None]) / deep_H[:, None]
        along_H = 1.55 * across_H
    else:
        part_HW = u_W / across_H[:, None]
        along_H = 2.0 * deep_H
    square_HW = part_HW * part_HW
    if not camera.lateral:  # flanks are fuller than an ellipse
        square_HW *= square_HW
    body_HW: Array = along_H[:, None] * np.sqrt(np.maximum(1.0 - square_HW, 0.0))
    for sign in (-1.0, 1.0):
        if anatomy.breast:
            size = anatomy.breast
            centre = (sign * 8.0, -anatomy.half_depth - 1.0 - anatomy.fat, -5.5 - size)
            breast = Ellipsoid(centre, (5.4 * size, 3.2 * size, 5.0 * size))
            chords(camera, breast, 0.8).add_to(body_HW, 0.42)
    if anatomy.stomach_gas:
        size = 0.6 + 0.6 * anatomy.stomach_gas
        gas = Ellipsoid(
            (5.6, -0.5, anatomy.dome_top("left") - 1.0 - size), (3.4 * size, 2.6 * size, 1.5 * size)
        )
        chords(camera, gas).add_to(body_HW, -0.8)
    return body_HW
