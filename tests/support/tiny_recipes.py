"""Recipes that run in a second, one for each stage; all but `dcd` start from random weights."""

from pathlib import Path

_COMMON = """
[model]
name = "tiny"
version = "1"
block_length = 4
{start}
[data]
count = 8
seed = 3
side = 140
[optimiser]
steps = 6
batch = 4
learning_rate = 1e-3
warmup_steps = 2
train_vision = true
[hardware]
device = "cpu"
save_every = 2
"""
_NEW = """
[model.new]
vocabulary = 320
width = 32
layers = 1
heads = 2
key_value_heads = 1
feed_forward = 32
vision_width = 32
vision_layers = 1
vision_heads = 2
vision_feed_forward = 32
"""
VISION = 'stage = "vision"' + _COMMON.format(start=_NEW)
AR = 'stage = "ar"' + _COMMON.format(start=_NEW)
RAD = 'stage = "rad"' + _COMMON.format(start=_NEW) + "[reading]\nweight = 0.2\n"
FROM_NOTHING = {"vision": VISION, "ar": AR, "rad": RAD}


def dcd(start: Path) -> str:
    """Distil the model in *start* into itself, the RAD loss mixed in."""
    common = _COMMON.format(start=f"start = '{start}'")
    return 'stage = "dcd"' + common + "[dcd]\nmax_new_tokens = 16\nrad_weight = 0.5\nprefix = 'student'\n"
