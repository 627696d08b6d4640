"""Model card of a checkpoint: its type, its origin, and the uses that it is not for."""

from __future__ import annotations

from pathlib import Path

from training.recipe import DataRecipe, Recipe

FILE_NAME = "README.md"
_STAGES = {
    "vision": "A trained vision tower with an untrained language model",
    "ar": "Next-token training on reports: the start of RAD, not able to write blocks",
    "rad": "RAD (Response-Asymmetric Diffusion): denoises a block in several steps",
    "dcd": "DCD (Direct Conditional Distillation): writes a block in one forward pass",
}
_WARNING = """
> **Demonstration model, not for clinical use.** It was trained on synthetic phantom chests only and
> knows a few dozen sentences. For a patient's radiograph it writes fluent but meaningless text.
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
    """Return the model card of a run's checkpoint.

    Args:
        plan: recipe of the run.
        parameters: number of parameters of the network.
        last: metrics of the last update.
    """
    origin = f"the checkpoint `{Path(plan.model.start).name}`" if plan.model.start else "random weights"
    if plan.model.start_share:
        origin += f", whose weights have a share of {plan.model.start_share:g} in the averaged result"
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

| training | |
|---|---|
| stage | {plan.stage} |
| started from | {origin} |
| data | {_data(plan.data)} |
| updates | {plan.optimiser.steps} of {plan.optimiser.batch}, learning rate {plan.optimiser.learning_rate:g} |
{metrics}

The whole recipe is in `recipe.json`. Input: one frontal view.
Output, in English: `Findings: ... Impression: ...`.
"""
