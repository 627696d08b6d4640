"""A checkpoint that always writes one report: for tests that need any draft at all."""

import shutil
from pathlib import Path

import numpy as np
import torch
from support.made_once import made_once
from support.one_update import loss_and_metrics
from support.small_checkpoint import TEXTS, write_checkpoint

from echo_node.inference.image import ImagePreparation
from echo_node.model import checkpoint
from echo_node.model.checkpoint import ModelFacts
from training.examples.collate import collate
from training.objectives.noise import Noise
from training.objectives.rad import RadObjective
from training.recipe import RadRecipe

_MOST_UPDATES, _LEARNT = 1000, 0.05


def write_parrot(folder: Path) -> Path:
    """Write the model; whatever it is shown, it says TEXTS[0]. Return the folder.

    It is trained once in a run of the tests.
    """
    shutil.copytree(made_once("parrot", _write), folder, dirs_exist_ok=True)
    return folder


def _write(folder: Path) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # so small a network only waits for its other threads
    try:
        _write_parrot(folder)
    finally:
        torch.set_num_threads(threads)


def _write_parrot(folder: Path) -> None:
    write_checkpoint(folder)
    loaded = checkpoint.load(str(folder))
    model, preparation = loaded.model.train(), ImagePreparation.load(folder)
    shades = np.linspace(0, 255, 4, dtype=np.uint8)
    images = np.broadcast_to(shades[:, None, None], (4, preparation.side, preparation.side)).copy()
    batch = collate(
        images, [TEXTS[0]] * 4, [[]] * 4, preparation, loaded.tokenizer, model.config.block_length
    )
    objective = RadObjective(model, RadRecipe(min_noise=1.0))  # every block from nothing: one-step decoding
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for step in range(_MOST_UPDATES):
        optimiser.zero_grad()
        loss, _ = loss_and_metrics(objective, batch, Noise(0, step))
        loss.backward()
        optimiser.step()
        if loss.item() < _LEARNT:
            break
    else:
        raise AssertionError(f"the parrot did not learn its text: loss {loss.item():.3f}")
    model.eval().save_pretrained(folder)
    ModelFacts("parrot", "1", demonstration=True).save(folder)
