"""Plans of ablations: variants, the claims that compare them, and the decoders. One TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from echo_node.errors import ConfigError
from echo_node.model.decoding.canvas import DecodeSettings
from echo_node.model.decoding.decoder import decode_settings
from echo_node.settings import ModelSettings

PAPER = Path(__file__).resolve().parent / "paper.toml"

_NEXT_TOKEN = "next_token"  # noqa: S105 - a decoder's name


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Variant(_Part):
    """One training stage, after the stages that it starts from."""

    like: str = ""
    """Variant whose recipe, start and changes this one inherits; its own changes come last."""
    recipe: str = ""
    """Name of a shipped recipe, or a file."""
    after: str = ""
    """Variant whose checkpoint, or at least its vision tower, this one starts from."""
    change: tuple[str, ...] = ()
    """Changes that define the variant, as `section.name=value`; no option overrides them."""
    data_share: float = Field(default=1.0, gt=0, le=1)
    """Share of `data.count` of the recipe to use."""
    seed: int | None = Field(default=None, ge=0)
    """Fixed seed: one run serves all requested seeds. None trains a run for each of them."""


class Claim(_Part):
    """A claim, with the variants and decoders that test it."""

    name: str
    """Short name of letters, digits and dashes."""
    says: str
    """The claim in one sentence."""
    variants: tuple[str, ...] = Field(min_length=1)
    """Variants to compare."""
    decoders: tuple[str, ...] = Field(min_length=1)
    """Decoders to show; `results.jsonl` contains all decoders."""


class AblationPlan(_Part):
    """Variants and claims of a plan."""

    max_new_tokens: int = Field(gt=0)
    """Maximum length of a draft, in tokens."""
    thresholds: tuple[float, ...] = Field(min_length=1)
    """Thresholds of multi-step decoding: the points of the frontier."""
    variants: dict[str, Variant]
    claims: tuple[Claim, ...] = Field(min_length=1)

    @field_validator("variants")
    @classmethod
    def _resolve_like(cls, variants: dict[str, Variant]) -> dict[str, Variant]:
        """Resolve `like` in every variant."""
        return {name: _resolved(name, variants) for name in variants}

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        known = {*self.decoders("ar"), *self.decoders("dcd")}
        for claim in self.claims:
            if unknown := [*(set(claim.variants) - set(self.variants)), *(set(claim.decoders) - known)]:
                raise ValueError(f"claim '{claim.name}': there is no variant or decoder '{unknown[0]}'")
        for name in self.variants:
            behind = [name]
            while after := self.variants[behind[-1]].after:
                if after not in self.variants or after in behind:
                    raise ValueError(f"variant '{behind[-1]}' cannot come after '{after}'")
                behind.append(after)
        return self

    def decoders(self, stage: Literal["vision", "ar", "rad", "dcd"]) -> dict[str, DecodeSettings]:
        """Return the decoders for measuring a checkpoint of a stage, by name."""
        longest = self.max_new_tokens
        if stage == "ar":
            return {_NEXT_TOKEN: DecodeSettings(1.0, 0, longest, schedule="next_token")}
        served = ModelSettings()
        found = {
            "one_step": decode_settings("one_step", served.confidence_threshold, longest),
            "adaptive": decode_settings("adaptive", served.confidence_threshold, longest),
        }
        return found | {
            f"multi_step_{t:g}": decode_settings("multi_step", t, longest) for t in self.thresholds
        }

    def wanted(self, only: Sequence[str]) -> list[str]:
        """Return the variants to measure.

        Args:
            only: names of claims or variants; if empty, the variants of all claims.

        Raises:
            ConfigError: a name is neither a claim nor a variant.
        """
        of_claims = {claim.name: claim.variants for claim in self.claims}
        for name in only:
            if name not in of_claims and name not in self.variants:
                names = ", ".join([*of_claims, *self.variants])
                raise ConfigError(f"--only {name} is neither a claim nor a variant; known: {names}")
        named = [variant for name in only or of_claims for variant in of_claims.get(name, (name,))]
        return list(dict.fromkeys(named))


def _resolved(name: str, variants: dict[str, Variant]) -> Variant:
    variant = variants[name]
    if not variant.like:
        if not variant.recipe:
            raise ValueError(f"variant '{name}' needs a recipe, or another variant in 'like'")
        return variant
    pattern = variants.get(variant.like)
    if pattern is None or pattern.like:
        raise ValueError(f"variant '{name}' is like '{variant.like}', which must be a variant with a recipe")
    own = variant.model_dump(exclude_unset=True)
    return pattern.model_copy(update=own | {"change": (*pattern.change, *variant.change)})


def load_plan(path: Path) -> AblationPlan:
    """Read a plan.

    Raises:
        ConfigError: the file cannot be read, is not TOML, or is not a valid plan.
    """
    try:
        return AblationPlan.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror})") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(": ".join(filter(None, (str(path), where, first["msg"])))) from error
