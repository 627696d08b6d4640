"""Model card of the view check: how the weights were made, how they score, and their limits."""

from __future__ import annotations

import numpy as np
from PIL import Image

from echo_node.domain.studies.appearance import Zone
from echo_node.inference.view_check import KNOWN, SIDE
from training.view_check.images import ImagePools
from training.view_check.jitter import jittered_examples
from training.view_check.measure import Measured, joined, zone_table
from training.view_check.train import ViewCheckRecipe

_COLUMNS = 14


def card(recipe: ViewCheckRecipe, measured: Measured, size_bytes: int) -> str:
    """Return the model card in Markdown."""
    counts, limits = recipe.counts, measured.limits
    return f"""---
license: apache-2.0
---
# view-check

Recognises, from pixels alone, an upright frontal chest radiograph: bone bright, the heart on the right of
the image. Other classes are mirrored, upside down, sideways, inverted, lateral, oblique, decubitus, and
not a chest. The network reads {SIDE} x {SIDE} grey values and runs in numpy
(`echo_node/inference/view_check.py`). The file has {size_bytes / 1000:.0f} kB.

The probability of a frontal chest, mirrored or not, decides: from {limits[Zone.READ]} the image is read, from
{limits[Zone.MARKED]} it is read and marked in the draft, below it is not read.

> **Trained on computer-made phantoms only, and never validated on patients.** It has seen no manufacturer's
> image processing. It cannot distinguish dextrocardia from a mirrored image.

Made by `make view-check` from {counts.frontal} frontal, {counts.lateral} lateral, {counts.oblique} oblique
and {counts.decubitus} decubitus phantoms and {counts.others} images that are not chest radiographs (limbs,
hands, skulls, abdomens, spines, slices, breasts, solids, noise, pages, screens), seed {recipe.seed}:
{recipe.updates} updates of {recipe.batch} examples. Orientation and jitter are drawn again
for each example. The limits were set on phantoms of another seed.

## Held-out phantoms

Of {len(joined(measured.hard))} hard frontal phantoms, {measured.lost():.2%} are not read and
{measured.marked():.2%} are marked. Of {len(joined(measured.refused))} laterals, obliques and decubitus,
{measured.refusals():.2%} are not read.

{zone_table(measured.refused, limits, "it is")}

Jittered examples of every class, harder than the images of a department:

{zone_table(measured.jittered, limits, "it is")}
"""


def sheet(pools: ImagePools, seed: int, scale: int = 1) -> Image.Image:
    """Return a sheet of jittered examples, one row for each class of KNOWN."""
    rows = []
    for row in range(len(KNOWN)):
        examples = jittered_examples(pools, np.full(_COLUMNS, row), np.random.default_rng([seed, row]))
        rows.append(np.hstack(list(examples.small)))
    image = Image.fromarray(np.vstack(rows))
    return image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)
