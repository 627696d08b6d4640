"""What goes with the weights: a card that says what made them, how they measure, and what they cannot see."""

from __future__ import annotations

import numpy as np
from PIL import Image

from echo_node.inference.view_check import KNOWN, SIDE
from training.view_check.jitter import laid
from training.view_check.measure import Measured, table
from training.view_check.pictures import Pictures
from training.view_check.train import Recipe

_PICTURES = 14


def card(recipe: Recipe, measured: Measured, held_out_seed: int) -> str:
    """Return the card in Markdown."""
    phantoms = f"{recipe.frontal} frontal and {recipe.lateral} lateral phantoms"
    others = int(measured.confusion.sum()) - measured.frontal
    kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(measured.called_frontal.items()))
    return f"""---
license: apache-2.0
---
# view-check

Tells by the picture alone whether it is a frontal chest, upright, bone bright, with the heart on the
image's right; or mirrored, upside down, on its side, inverted, lateral, no chest; or that it is not sure.
A network of 112,000 weights on {SIDE} x {SIDE} greys, run by numpy (`echo_node/inference/view_check.py`).

> **Trained on computer-made phantoms only, and never validated on patients.** It may refuse or ask; it
> never overrules a header. It does not know children, casts, other projections, or how a maker's
> processing looks. A heart on the right and a mirrored image are one to it.

Made by `make view-check` of {phantoms} and {recipe.others} pictures that are no chest
(limbs, hands, skulls, abdomens, spines, slices, breasts, solids, noise, pages, screens), seed {recipe.seed}:
{recipe.updates} updates of {recipe.batch} examples, each laid and jittered anew.

## Held-out phantoms

Seed {held_out_seed}, with all of the jitter that it was trained with: place, size, turn, bending, exposure,
local contrast, noise, collimators, markers, a part whited out.

{table(measured)}

Of {measured.frontal} upright frontal chests, {measured.refused} would be refused although their header says
that they are frontal. Of {others} others, {measured.taken_for_frontal} would be read if their header said no
view. Called frontal of those that are no chest: {kinds or "none"}.
"""


def sheet(pictures: Pictures, seed: int, scale: int = 1) -> Image.Image:
    """Return jittered examples, a row for each class of KNOWN."""
    rows = [
        np.hstack(list(laid(pictures, np.full(_PICTURES, row), np.random.default_rng([seed, row])).small))
        for row in range(len(KNOWN))
    ]
    drawn = Image.fromarray(np.vstack(rows))
    return drawn.resize((drawn.width * scale, drawn.height * scale), Image.Resampling.NEAREST)
