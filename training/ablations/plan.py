"""Plans: which variants there are, which claims compare them, and by which decoders. One TOML file."""

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
    """One stage, behind the stages that it starts from."""

    like: str = ""
    """The variant whose recipe, start and changes this one has, with its own changes behind them."""
    recipe: str = ""
    """A shipped recipe's name or a file."""
    after: str = ""
    """The variant whose checkpoint this one starts from, or takes its tower from, as the recipe does."""
    change: tuple[str, ...] = ()
    """`section.name=value` each; what makes it a variant, so that no option replaces it."""
    data_share: float = Field(default=1.0, gt=0, le=1)
    """The part of the recipe's `data.count` that is used."""
    seed: int | None = Field(default=None, ge=0)
    """The seed whatever seeds are asked for, which makes it one run for all of them."""


class Claim(_Part):
    """What is claimed, and what shows it."""

    name: str
    """Short, of letters, digits and dashes."""
    says: str
    """One sentence."""
    variants: tuple[str, ...] = Field(min_length=1)
    """Which are compared."""
    decoders: tuple[str, ...] = Field(min_length=1)
    """Which of the decoders are shown; `results.jsonl` has all of them."""


class AblationPlan(_Part):
    """All variants and claims."""

    max_new_tokens: int = Field(gt=0)
    """The longest draft."""
    thresholds: tuple[float, ...] = Field(min_length=1)
    """Of multi-step decoding: the points of the frontier."""
    variants: dict[str, Variant]
    claims: tuple[Claim, ...] = Field(min_length=1)

    @field_validator("variants")
    @classmethod
    def _spell_out(cls, variants: dict[str, Variant]) -> dict[str, Variant]:
        """Give every variant in full what it has from the one that it is like."""
        return {name: _spelled_out(name, variants) for name in variants}

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        known = {*self.decoders("ar"), *self.decoders("dcd")}
        for claim in self.claims:
            if unknown := [*(set(claim.variants) - set(self.variants)), *(set(claim.decoders) - known)]:
                raise ValueError(f"claim '{claim.name}' names '{unknown[0]}', which there is not")
        for name in self.variants:
            behind = [name]
            while after := self.variants[behind[-1]].after:
                if after not in self.variants or after in behind:
                    raise ValueError(f"variant '{behind[-1]}' comes after '{after}', which cannot be")
                behind.append(after)
        return self

    def decoders(self, stage: Literal["vision", "ar", "rad", "dcd"]) -> dict[str, DecodeSettings]:
        """Return the decoders that the checkpoint of a stage is measured by, by name."""
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
        """Return the variants to measure: those of all claims, or of what *only* names.

        Args:
            only: names of claims or of variants; empty takes all claims.

        Raises:
            ConfigError: there is no claim and no variant of such a name.
        """
        of_claims = {claim.name: claim.variants for claim in self.claims}
        for name in only:
            if name not in of_claims and name not in self.variants:
                names = ", ".join([*of_claims, *self.variants])
                raise ConfigError(f"--only {name}: neither a claim nor a variant; there are {names}")
        named = [variant for name in only or of_claims for variant in of_claims.get(name, (name,))]
        return list(dict.fromkeys(named))


def _spelled_out(name: str, variants: dict[str, Variant]) -> Variant:
    variant = variants[name]
    if not variant.like:
        if not variant.recipe:
            raise ValueError(f"variant '{name}' has no recipe and is like no other")
        return variant
    pattern = variants.get(variant.like)
    if pattern is None or pattern.like:
        raise ValueError(f"variant '{name}' is like '{variant.like}', which is none with a recipe of its own")
    own = variant.model_dump(exclude_unset=True)
    return pattern.model_copy(update=own | {"change": (*pattern.change, *variant.change)})


def load_plan(path: Path) -> AblationPlan:
    """Read a plan.

    Raises:
        ConfigError: the file cannot be read, is not TOML, or says what a plan cannot say.
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
