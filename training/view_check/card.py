"""Model card of the view check: how the weights were made, how they score, and their limits."""

from __future__ import annotations

import numpy as np
from PIL import Image

from echo_node.inference.view_check import KNOWN, SIDE
from training.view_check.images import ImagePools
from training.view_check.jitter import jittered_examples
from training.view_check.measure import HeldOutScores, table
from training.view_check.train import ViewCheckRecipe

_COLUMNS = 14


def card(recipe: ViewCheckRecipe, measured: HeldOutScores, held_out_seed: int) -> str:
    """Return the model card in Markdown."""
    phantoms = f"{recipe.frontal} frontal and {recipe.lateral} lateral phantoms"
    others = int(measured.confusion.sum()) - measured.frontal
    kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(measured.called_frontal.items()))
    return f"""---
license: apache-2.0
---
# view-check

Recognises, from pixels alone, an upright frontal chest radiograph: bone bright, the heart on the right of
the image. Other classes are mirrored, upside down, sideways, inverted, lateral, and not a chest. The
answer may also be "unsure". The network has 112,000 weights, reads {SIDE} x {SIDE} grey values and runs in
numpy (`echo_node/inference/view_check.py`).

> **Trained on computer-made phantoms only, and never validated on patients.** It may reject an image or
> add a remark; it never overrules a header. It has seen no children, casts or other projections, and no
> manufacturer's image processing. It cannot distinguish dextrocardia from a mirrored image.

Made by `make view-check` from {phantoms} and {recipe.others} images that are not chest radiographs
(limbs, hands, skulls, abdomens, spines, slices, breasts, solids, noise, pages, screens), seed {recipe.seed}:
{recipe.updates} updates of {recipe.batch} examples. Orientation and jitter are drawn again for each example.

## Held-out phantoms

Seed {held_out_seed}, with the same jitter as in training: position, size, rotation, bending, exposure,
local contrast, noise, collimators, markers, a whited-out region.

{table(measured)}

Of {measured.frontal} upright frontal chests, {measured.refused} would be rejected although their header
states a frontal view. Of {others} other images, {measured.taken_for_frontal} would be read if their header
stated no view. Images that are not chests but were called frontal: {kinds or "none"}.
"""


def sheet(pools: ImagePools, seed: int, scale: int = 1) -> Image.Image:
    """Return a sheet of jittered examples, one row for each class of KNOWN."""
    rows = []
    for row in range(len(KNOWN)):
        examples = jittered_examples(pools, np.full(_COLUMNS, row), np.random.default_rng([seed, row]))
        rows.append(np.hstack(list(examples.small)))
    image = Image.fromarray(np.vstack(rows))
    return image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)
