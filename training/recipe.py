"""Recipes: everything that decides a training run, in one TOML file with no hidden defaults elsewhere."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from echo_node.assignments import parse_assignment
from echo_node.errors import ConfigError

SHIPPED = Path(__file__).resolve().parent / "recipes"

Divergence = Literal["forward_kl", "reverse_kl", "cross_entropy"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class DataRecipe(_Part):
    """What to train on."""

    source: Literal["phantom", "folder"] = "phantom"
    """Phantom chest radiographs, made on the spot, or a data set on disk (docs/how-to/build-data-sets.md)."""
    path: str = ""
    """The data set's folder."""
    split: str = "train"
    """Which rows of the data set."""
    count: int = Field(default=0, ge=0)
    """How many different images; 0 takes all of a folder."""
    seed: int = Field(default=0, ge=0)
    """Which phantoms; evaluation must use another seed."""
    side: int = Field(default=224, ge=56)
    """Pixels of the square that the model gets, in training and from its checkpoint on; a multiple of 28."""
    jitter: bool = True
    """Move each image a little and change its exposure, anew in every update."""


class NewModelRecipe(_Part):
    """The dimensions of a network that starts from random weights, and its tokeniser."""

    vocabulary: int = Field(gt=300)
    """Tokens of the byte-level BPE that is trained on the reports."""
    width: int = Field(gt=0)
    """Hidden size of the language model."""
    layers: int = Field(gt=0)
    """Of the language model."""
    heads: int = Field(gt=0)
    """Attention heads of the language model."""
    key_value_heads: int = Field(gt=0)
    """Of the language model."""
    feed_forward: int = Field(gt=0)
    """Inner width of the language model's feed-forward layers."""
    rope_theta: float = Field(default=1000.0, gt=1)
    """Base of the rotary frequencies; Qwen's 10^6 cannot tell the columns of a small grid apart."""
    vision_width: int = Field(gt=0)
    """Hidden size of the vision tower."""
    vision_layers: int = Field(gt=0)
    """Of the vision tower."""
    vision_heads: int = Field(gt=0)
    """Of the vision tower."""
    vision_feed_forward: int = Field(gt=0)
    """Inner width of the vision tower's feed-forward layers."""


class ModelRecipe(_Part):
    """What to start from and what the result is called."""

    name: str
    """The result's name."""
    version: str
    """The result's version."""
    block_length: int = Field(gt=0)
    """B: tokens a forward."""
    start: str = ""
    """A checkpoint to start from; empty makes a new network from `new`."""
    start_share: float = Field(default=0.0, ge=0, lt=1)
    """How much of the start is in the result: an average of its weights and those learnt (WiSE-FT, Wortsman
    et al. 2022), which is often better than either if both stages learn the same task."""
    start_vision: str = ""
    """A checkpoint of the same dimensions from which a new network takes its vision tower."""
    new: NewModelRecipe | None = None
    """Dimensions of a new network."""
    stored: Literal["float16", "bfloat16"] = "float16"
    """The type of the weights on disk."""
    demonstration: bool = True
    """Whether drafts say that they are not for clinical use."""


class OptimiserRecipe(_Part):
    """AdamW, or Muon for the layers, with warm-up and a cosine."""

    steps: int = Field(gt=0)
    """Updates."""
    batch: int = Field(gt=0)
    """Examples an update."""
    learning_rate: float = Field(gt=0)
    """At its highest."""
    warmup_steps: int = Field(default=100, ge=0)
    """Updates until the highest learning rate."""
    final_fraction: float = Field(default=0.02, ge=0, le=1)
    """The learning rate at the end, as a fraction of the highest."""
    weight_decay: float = Field(default=0.01, ge=0)
    """On matrices only."""
    muon: bool = False
    """Train the matrices of the layers by Muon; for networks from random weights."""
    clip_norm: float = Field(default=1.0, gt=0)
    """The gradient's longest norm."""
    train_vision: bool = False
    """Train the vision tower too; the paper freezes it."""
    seed: int = 0
    """Of order, noise and initial weights."""


class ReadingRecipe(_Part):
    """Reading the findings out of the network, beside the words; for small ones from random weights."""

    weight: float = Field(default=0.0, ge=0)
    """How much reading the findings halfway up the network counts."""


class RadRecipe(_Part):
    """Response-Asymmetric Diffusion."""

    min_noise: float = Field(default=0.1, gt=0, le=1)
    """The least level t of a block's noise."""


class DcdRecipe(_Part):
    """Direct Conditional Distillation."""

    teacher: str = ""
    """The checkpoint to distil; empty takes `model.start`, from which the student starts."""
    prefix: Literal["teacher", "student"] = "teacher"
    """Whose text the teacher continues: the paper's rollouts of its own, or the student's one-step draft."""
    teacher_threshold: float = Field(default=0.85, gt=0, le=1)
    """The teacher commits a token when its probability is at least this."""
    max_new_tokens: int = Field(default=160, gt=0)
    """The longest rollout; one that has not ended is dropped."""
    step_weights: bool = True
    """Weight each token by the step at which the teacher committed it."""
    eos_weight: float = Field(default=0.5, ge=0)
    """Lambda of the end-of-sequence term."""
    divergence: Divergence = "forward_kl"
    """The paper's forward KL; reverse KL, to compare; or cross-entropy on what the teacher committed."""
    top_k: int = Field(default=0, ge=0)
    """Keep the probabilities of so many tokens and count the others as one; 0 keeps the whole vocabulary."""
    cache: bool = False
    """Let the teacher write once for each image and keep its rollouts on disk; needs `top_k`, and data
    without jitter."""
    rad_weight: float = Field(default=0.0, ge=0)
    """How much of the RAD loss on the rollouts is mixed in, so that the student keeps refining."""


class LoraRecipe(_Part):
    """Low-rank adapters on every matrix of the language model's layers; merged into it at the end."""

    rank: int = Field(gt=0)
    """Of the adapters."""
    alpha: int = Field(default=32, gt=0)
    """Their outputs are scaled by alpha / rank."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Of the adapters' inputs."""


class ValidationRecipe(_Part):
    """Held-out examples, and when to stop."""

    count: int = Field(gt=0)
    """How many."""
    seed: int = Field(default=0, ge=0)
    """Which phantoms; another seed than the data's."""
    split: str = "validation"
    """Which rows of a data set on disk; another split than the data's."""
    every: int = Field(default=100, gt=0)
    """Updates from one validation to the next."""
    patience: int = Field(default=0, ge=0)
    """Stop after so many validations without a new best loss, and take the best weights; 0 never stops."""


class HardwareRecipe(_Part):
    """What the run computes on, and how it fits there. But for rounding, it changes nothing."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """`auto` takes the GPU if there is one."""
    precision: Literal["auto", "float32", "bfloat16"] = "float32"
    """Of the forward; what is trained is kept and updated in float32. `auto` takes bfloat16 where the device
    multiplies it faster."""
    gradient_checkpointing: bool = False
    """Compute the layers' inner values again in the backward pass instead of keeping them."""
    micro_batch: int = Field(default=0, ge=0)
    """Examples of one forward; an update adds up as many as its batch needs. 0: the whole batch at once."""
    rollout_batch: int = Field(default=0, ge=0)
    """Examples that DCD's teacher writes about at once, if its rollouts are kept (`dcd.cache`). 0: those of
    one forward."""
    row_tokens: int = Field(default=0, ge=0)
    """Pack several examples into rows of so many tokens; 0 gives each a row, as long as the longest needs."""
    keep_vision: Literal["no", "memory", "disk"] = "no"
    """Run a frozen vision tower once for each image and keep its output; needs data without jitter."""
    kept_in: str = ""
    """Where later runs find pictures of phantoms, features and rollouts. Empty: the latter two lie in the
    run's own folder, and each run renders its own phantoms."""
    save_every: int = Field(default=200, gt=0)
    """Updates from one saved state to the next."""


class Recipe(_Part):
    """A whole run."""

    stage: Literal["vision", "ar", "rad", "dcd"]
    """Which objective."""
    model: ModelRecipe
    data: DataRecipe
    optimiser: OptimiserRecipe
    reading: ReadingRecipe = ReadingRecipe()
    rad: RadRecipe = RadRecipe()
    dcd: DcdRecipe = DcdRecipe()
    lora: LoraRecipe | None = None
    """Train adapters instead of the language model's own weights."""
    validation: ValidationRecipe | None = None
    """Look at held-out examples now and then."""
    hardware: HardwareRecipe = HardwareRecipe()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        kept = {"dcd.cache": self.dcd.cache, "hardware.keep_vision": self.hardware.keep_vision != "no"}
        for name, is_set in kept.items():
            if is_set and self.data.jitter:
                raise ValueError(f"{name} needs data.jitter = false: what is kept belongs to one picture")
        if self.hardware.keep_vision != "no" and self.optimiser.train_vision:
            raise ValueError("hardware.keep_vision needs a frozen tower: optimiser.train_vision = false")
        if self.dcd.cache and (not self.dcd.top_k or self.dcd.prefix == "student"):
            raise ValueError("dcd.cache needs dcd.top_k, and dcd.prefix = 'teacher'")
        if self.lora is not None and self.optimiser.muon:
            raise ValueError("optimiser.muon is for whole matrices, not for the adapters of lora")
        if self.hardware.row_tokens and (self.reading.weight or self.stage == "vision"):
            raise ValueError("hardware.row_tokens: the read-outs of findings need one example a row")
        if self.model.start_share and not self.model.start:
            raise ValueError("model.start_share averages with what model.start names, which is empty")
        if self.data.source == "phantom" and not self.model.demonstration:
            raise ValueError(
                "model.demonstration = false needs data.source = 'folder': a model that learns from phantoms "
                "is none for patients, and its drafts must say so"
            )
        held_out = "seed" if self.data.source == "phantom" else "split"
        if self.validation and getattr(self.validation, held_out) == getattr(self.data, held_out):
            raise ValueError(
                f"validation.{held_out} is data.{held_out}: these examples would not be held out"
            )
        return self

    @model_validator(mode="after")
    def _has_data_to_learn_from(self) -> Self:
        if self.data.source == "phantom":
            if self.data.count == 0:
                raise ValueError("data.count says how many phantoms to make: more than 0")
        elif not self.data.path:
            raise ValueError("data.source is 'folder': data.path must name the data set")
        elif self.stage == "vision" or self.reading.weight:
            raise ValueError(
                "the stage vision and reading.weight need phantoms: only they know their findings"
            )
        return self


def load_recipe(name: str, overrides: list[str]) -> Recipe:
    """Read a shipped recipe by name or any recipe by path, and change single values.

    Args:
        name: such as `small-rad`, or a path of a TOML file.
        overrides: assignments `section.name=value`, with the value in TOML notation; a bare word is a string.

    Raises:
        ConfigError: no such recipe, not TOML, or a key or value that a recipe cannot have.
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
    given = parse_assignment(override, "optimiser.steps=50")
    try:
        value: Any = tomllib.loads(f"value = {given.text}")["value"]
    except tomllib.TOMLDecodeError:
        value = given.text
    *sections, last = given.key
    for section in sections:
        content = content.setdefault(section, {})
    content[last] = value
