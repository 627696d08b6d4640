"""Recipes: every setting of a training run, in one TOML file; all defaults are in this module."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from echo_node.errors import ConfigError
from echo_node.setting_assignments import parse_assignment

SHIPPED = Path(__file__).resolve().parent / "recipes"

Divergence = Literal["forward_kl", "reverse_kl", "cross_entropy"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class DataRecipe(_Part):
    """Training data."""

    source: Literal["phantom", "folder"] = "phantom"
    """Source of the examples: phantom chest radiographs, rendered at the start of the run, or a
    data set on disk (docs/how-to/build-data-sets.md)."""
    path: str = ""
    """Folder of the data set."""
    split: str = "train"
    """Split of the data set."""
    count: int = Field(default=0, ge=0)
    """Number of different images; 0 uses all images of a data set."""
    seed: int = Field(default=0, ge=0)
    """Random seed of the phantoms; evaluation must use another seed."""
    side: int = Field(default=224, ge=56)
    """Side of the square image for the model, in pixels; a multiple of 28. The checkpoint keeps
    it."""
    jitter: bool = True
    """Whether each update shifts its images slightly and changes their exposure."""


class NewModelRecipe(_Part):
    """Dimensions of a network with random initial weights, and of its tokeniser."""

    vocabulary: int = Field(gt=300)
    """Vocabulary size of the byte-level BPE tokeniser, which is trained on the reports."""
    width: int = Field(gt=0)
    """Hidden size of the language model."""
    layers: int = Field(gt=0)
    """Number of layers of the language model."""
    heads: int = Field(gt=0)
    """Number of attention heads of the language model."""
    key_value_heads: int = Field(gt=0)
    """Number of key-value heads of the language model."""
    feed_forward: int = Field(gt=0)
    """Inner width of the language model's feed-forward layers."""
    rope_theta: float = Field(default=1000.0, gt=1)
    """Base of the rotary frequencies; Qwen's 10^6 cannot separate the columns of a small grid."""
    vision_width: int = Field(gt=0)
    """Hidden size of the vision tower."""
    vision_layers: int = Field(gt=0)
    """Number of layers of the vision tower."""
    vision_heads: int = Field(gt=0)
    """Number of attention heads of the vision tower."""
    vision_feed_forward: int = Field(gt=0)
    """Inner width of the vision tower's feed-forward layers."""


class ModelRecipe(_Part):
    """Model to start from, and name of the result."""

    name: str
    """Name of the result."""
    version: str
    """Version of the result."""
    block_length: int = Field(gt=0)
    """B: number of tokens per block."""
    start: str = ""
    """Checkpoint to start from; empty creates a new network from `new`."""
    start_share: float = Field(default=0.0, ge=0, lt=1)
    """Share of the initial weights in the result, which is an average of initial and trained
    weights (WiSE-FT, Wortsman et al. 2022). It is often better than either if both stages learn the
    same task."""
    start_vision: str = ""
    """Checkpoint of the same dimensions whose vision tower a new network uses."""
    new: NewModelRecipe | None = None
    """Dimensions of a new network."""
    stored: Literal["float16", "bfloat16"] = "float16"
    """Type of the weights on disk."""
    demonstration: bool = True
    """Whether drafts state that they are not for clinical use."""


class OptimiserRecipe(_Part):
    """AdamW, or Muon for the layers, with warm-up and cosine decay."""

    steps: int = Field(gt=0)
    """Number of updates."""
    batch: int = Field(gt=0)
    """Number of examples per update."""
    learning_rate: float = Field(gt=0)
    """Peak learning rate."""
    warmup_steps: int = Field(default=100, ge=0)
    """Number of updates until the peak learning rate."""
    final_fraction: float = Field(default=0.02, ge=0, le=1)
    """Final learning rate, as a fraction of the peak."""
    weight_decay: float = Field(default=0.01, ge=0)
    """Weight decay, for matrices only."""
    muon: bool = False
    """Whether Muon trains the matrices of the layers; for networks with random initial weights."""
    clip_norm: float = Field(default=1.0, gt=0)
    """Maximum gradient norm (clipping)."""
    train_vision: bool = False
    """Whether the vision tower is trained too; the paper freezes it."""
    seed: int = 0
    """Random seed for data order, noise and initial weights."""


class ReadingRecipe(_Part):
    """Findings probe that adds a loss; for small networks with random initial weights."""

    weight: float = Field(default=0.0, ge=0)
    """Weight of the loss of the findings probe, which reads the middle layer; 0 uses no probe."""


class RadRecipe(_Part):
    """Response-Asymmetric Diffusion."""

    min_noise: float = Field(default=0.1, gt=0, le=1)
    """Minimum noise level t of a block."""


class DcdRecipe(_Part):
    """Direct Conditional Distillation."""

    teacher: str = ""
    """Checkpoint to distil; empty uses `model.start`, from which the student starts too."""
    prefix: Literal["teacher", "student"] = "teacher"
    """Text that the teacher continues: its own rollouts (as in the paper), or the student's
    one-step draft."""
    teacher_threshold: float = Field(default=0.85, gt=0, le=1)
    """Minimum probability with which the teacher commits a token."""
    max_new_tokens: int = Field(default=160, gt=0)
    """Maximum length of a rollout, in tokens; a rollout without an end is dropped."""
    step_weights: bool = True
    """Whether each token is weighted by the step at which the teacher committed it."""
    eos_weight: float = Field(default=0.5, ge=0)
    """Weight of the end-of-sequence term (lambda in the paper)."""
    divergence: Divergence = "forward_kl"
    """Forward KL (the paper's), reverse KL, or cross-entropy on the tokens that the teacher
    committed."""
    top_k: int = Field(default=0, ge=0)
    """Number of tokens whose probabilities are kept; the others count as one. 0 keeps the whole
    vocabulary."""
    cache: bool = False
    """Whether the teacher writes once per image, and its rollouts are cached on disk. Needs
    `top_k`, and data without jitter."""
    rad_weight: float = Field(default=0.0, ge=0)
    """Weight of the RAD loss on the rollouts, so that the student can still refine a block."""


class LoraRecipe(_Part):
    """Low-rank adapters on every matrix of the language model's layers, merged at the end."""

    rank: int = Field(gt=0)
    """Rank of the adapters."""
    alpha: int = Field(default=32, gt=0)
    """Scale of the adapters' outputs, which are multiplied by alpha / rank."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout of the adapters' inputs."""


class ValidationRecipe(_Part):
    """Validation on held-out examples, and early stopping."""

    count: int = Field(gt=0)
    """Number of examples."""
    seed: int = Field(default=0, ge=0)
    """Random seed of the phantoms; must differ from the data's seed."""
    split: str = "validation"
    """Split of a data set on disk; must differ from the data's split."""
    every: int = Field(default=100, gt=0)
    """Number of updates between validations."""
    patience: int = Field(default=0, ge=0)
    """Number of validations without a new best loss after which the run stops and uses the best
    weights; 0 never stops early."""


class HardwareRecipe(_Part):
    """Hardware of the run, and use of its memory; except for rounding, the result is the same."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Device to compute on; `auto` uses a GPU if one is available."""
    precision: Literal["auto", "float32", "bfloat16"] = "float32"
    """Precision of the forward pass; trained weights are stored and updated in float32. `auto` uses
    bfloat16 if the device multiplies it faster."""
    gradient_checkpointing: bool = False
    """Whether the backward pass recomputes the activations of the layers instead of storing
    them."""
    micro_batch: int = Field(default=0, ge=0)
    """Number of examples per forward pass; an update accumulates the gradients of its batch. 0
    computes the whole batch at once."""
    rollout_batch: int = Field(default=0, ge=0)
    """Number of examples for which DCD's teacher writes at once, if its rollouts are cached
    (`dcd.cache`). 0 uses those of one forward pass."""
    row_tokens: int = Field(default=0, ge=0)
    """Row length for packing several examples, in tokens; 0 gives each example its own row, as long
    as the longest one needs."""
    keep_vision: Literal["no", "memory", "disk"] = "no"
    """Cache of the output of a frozen vision tower, which then runs once per image; needs data
    without jitter."""
    kept_in: str = ""
    """Folder in which later runs find phantom images, vision features and rollouts. If it is empty,
    features and rollouts are stored in the run's own folder, and each run renders its own
    phantoms."""
    save_every: int = Field(default=200, gt=0)
    """Number of updates between saved states."""


class Recipe(_Part):
    """Recipe of a run."""

    stage: Literal["vision", "ar", "rad", "dcd"]
    """Stage, which decides the objective."""
    model: ModelRecipe
    data: DataRecipe
    optimiser: OptimiserRecipe
    reading: ReadingRecipe = ReadingRecipe()
    rad: RadRecipe = RadRecipe()
    dcd: DcdRecipe = DcdRecipe()
    lora: LoraRecipe | None = None
    """Adapters to train instead of the language model's own weights."""
    validation: ValidationRecipe | None = None
    """Periodic validation on held-out examples."""
    hardware: HardwareRecipe = HardwareRecipe()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        caches = {"dcd.cache": self.dcd.cache, "hardware.keep_vision": self.hardware.keep_vision != "no"}
        for name, is_set in caches.items():
            if is_set and self.data.jitter:
                raise ValueError(f"{name} needs data.jitter = false: a cached value belongs to one image")
        if self.hardware.keep_vision != "no" and self.optimiser.train_vision:
            raise ValueError("hardware.keep_vision needs a frozen tower: optimiser.train_vision = false")
        if self.dcd.cache and (not self.dcd.top_k or self.dcd.prefix == "student"):
            raise ValueError("dcd.cache needs dcd.top_k, and dcd.prefix = 'teacher'")
        if self.lora is not None and self.optimiser.muon:
            raise ValueError(
                "optimiser.muon trains whole matrices, not LoRA adapters: set it to false or remove [lora]"
            )
        if self.hardware.row_tokens and (self.reading.weight or self.stage == "vision"):
            raise ValueError(
                "hardware.row_tokens cannot pack rows for the findings probes, which need one example per row"
            )
        if self.model.start_share and not self.model.start:
            raise ValueError("model.start_share needs a checkpoint to average with: set model.start")
        if self.data.source == "phantom" and not self.model.demonstration:
            raise ValueError(
                "model.demonstration = false needs data.source = 'folder': a model trained on phantoms is "
                "not for patients, and its drafts must state this"
            )
        held_out = "seed" if self.data.source == "phantom" else "split"
        if self.validation and getattr(self.validation, held_out) == getattr(self.data, held_out):
            raise ValueError(
                f"validation.{held_out} equals data.{held_out}: these examples would not be held out"
            )
        return self

    @model_validator(mode="after")
    def _has_data_to_learn_from(self) -> Self:
        if self.data.source == "phantom":
            if self.data.count == 0:
                raise ValueError("data.count must be the number of phantoms to render: more than 0")
        elif not self.data.path:
            raise ValueError("data.source is 'folder': data.path must name the data set")
        elif self.stage == "vision" or self.reading.weight:
            raise ValueError(
                "the stage vision and reading.weight need phantoms, because only they know their findings"
            )
        return self


def load_recipe(name: str, overrides: list[str]) -> Recipe:
    """Read a shipped recipe by name or any recipe by path, and change single values.

    Args:
        name: name of a shipped recipe, such as `small-rad`, or path of a TOML file.
        overrides: assignments `section.name=value`, with the value in TOML notation; a bare word is
            a string.

    Raises:
        ConfigError: there is no such recipe, it is not TOML, or it has an invalid key or value.
    """
    path = SHIPPED / f"{name}.toml" if (SHIPPED / f"{name}.toml").is_file() else Path(name)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        shipped = ", ".join(sorted(p.stem for p in SHIPPED.glob("*.toml")))
        raise ConfigError(f"no recipe '{name}': neither a file nor one of {shipped}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
    for override in overrides:
        _apply(content, override)
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = "".join(f"{part}." for part in first["loc"]).rstrip(".")
        raise ConfigError(": ".join(filter(None, (str(path), where, first["msg"])))) from error


def _apply(content: dict[str, Any], override: str) -> None:
    assignment = parse_assignment(override, "optimiser.steps=50")
    try:
        value: Any = tomllib.loads(f"value = {assignment.text}")["value"]
    except tomllib.TOMLDecodeError:
        value = assignment.text
    *sections, last = assignment.key
    for section in sections:
        content = content.setdefault(section, {})
    content[last] = value
