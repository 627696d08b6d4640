"""The model card that goes with every checkpoint: what it is, what made it, what it must not be used for."""

from __future__ import annotations

from pathlib import Path

from training.recipe import DataRecipe, Recipe

FILE_NAME = "README.md"
_STAGES = {
    "vision": "A vision tower that can see, with a language model that has learnt nothing yet",
    "ar": "Next-token training on reports: the start of RAD, it writes no blocks",
    "rad": "RAD (Response-Asymmetric Diffusion): denoises a block in several steps",
    "dcd": "DCD (Direct Conditional Distillation): writes a block in one forward",
}
_WARNING = """
> **Demonstration model, not for clinical use.** It has seen nothing but synthetic phantom chests and knows
> a few dozen sentences. On a radiograph of a patient it writes fluent text that means nothing.
"""
_DEMONSTRATION = "\n> **Demonstration model, not for clinical use.**\n"


def _warning(plan: Recipe) -> str:
    if not plan.model.demonstration:
        return ""
    return _WARNING if plan.data.source == "phantom" else _DEMONSTRATION


def _data(data: DataRecipe) -> str:
    if data.source == "folder":
        return f"split {data.split} of the data set {Path(data.path).name}"
    return f"{data.count} phantom chests, seed {data.seed}, {data.side} x {data.side} pixels"


def model_card(plan: Recipe, parameters: int, last: dict[str, float]) -> str:
    """Return the card of the checkpoint that a run has made.

    Args:
        plan: the run's recipe.
        parameters: how many the network has.
        last: the metrics of the last update.
    """
    origin = f"the checkpoint `{Path(plan.model.start).name}`" if plan.model.start else "random weights"
    if plan.model.start_share:
        origin += f", of whose weights {plan.model.start_share:g} is averaged into the result"
    metrics = "\n".join(f"| {name} | {value:.4g} |" for name, value in last.items())
    return f"""---
license: apache-2.0
pipeline_tag: image-to-text
tags: [chest-x-ray, block-diffusion]
---
# {plan.model.name} {plan.model.version}
{_warning(plan)}
A block-diffusion vision-language model on the Qwen2.5-VL architecture, {parameters / 1e6:.2f} M parameters,
block length {plan.model.block_length}. {_STAGES[plan.stage]}.

| how it was made | |
|---|---|
| stage | {plan.stage} |
| started from | {origin} |
| data | {_data(plan.data)} |
| updates | {plan.optimiser.steps} of {plan.optimiser.batch}, learning rate {plan.optimiser.learning_rate:g} |
{metrics}

The whole recipe is in `recipe.json`. Input: one frontal view.
Output, in English: `Findings: ... Impression: ...`.
"""
