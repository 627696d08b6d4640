"""DCD, Direct Conditional Distillation: the student learns many steps as one (ECHO, alg. 1).

Shapes: N examples, R response, M trained tokens of the batch, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it
from torch import Tensor, nn

from echo_node.model.block_mask import rad_length
from echo_node.model.decoding.decoder import decode, decode_settings
from echo_node.model.network import EchoNetwork, Prompt
from training.examples.collate import Batch, pad_responses
from training.examples.feature_cache import tower_digest
from training.objectives.noise import Noise
from training.objectives.objective import Metrics, Part, Share
from training.objectives.rad import NoisyResponse, add_noise, masked_loss, noisy_hidden_states
from training.objectives.targets import Targets, divergence, make_targets
from training.objectives.teacher import Rollout, looped, rewrite_text, roll_out, teacher_decoder
from training.recipe import DcdRecipe, RadRecipe

TargetSource = Callable[[Sequence[Batch]], list[Targets]]
"""Returns the teacher's targets for each part of a batch."""


def streamed_targets(student: EchoNetwork, teacher: EchoNetwork, recipe: DcdRecipe) -> TargetSource:
    """Return a source of targets whose teacher writes for one part of a batch after another.

    A teacher with the same vision tower as the student uses the student's cached features.
    """
    teacher.requires_grad_(requires_grad=False)
    writer = teacher_decoder(teacher, recipe.teacher_threshold, recipe.max_new_tokens)

    @cache
    def has_same_tower() -> bool:  # called only if features are cached, and the tower is then frozen
        return tower_digest(teacher) == tower_digest(student)

    @torch.no_grad()
    def rollout(batch: Batch) -> Rollout:
        for_teacher = batch if batch.features is None or has_same_tower() else replace(batch, features=None)
        prompt = for_teacher.embed(teacher)
        if recipe.prefix == "teacher":
            return roll_out(teacher, prompt, writer)
        return _continue_draft(student, batch, teacher, prompt, recipe)

    def targets(parts: Sequence[Batch]) -> list[Targets]:
        with torch.autocast(student.lm_head.weight.device.type, enabled=False):  # both write as in a node
            return [make_targets(rollout(batch), recipe.top_k) for batch in parts]

    return targets


def _continue_draft(
    student: EchoNetwork,
    batch: Batch,
    teacher: EchoNetwork,
    prompt: Prompt,
    recipe: DcdRecipe,
) -> Rollout:
    """Let the teacher rewrite each block of the student's drafts."""
    threshold, longest = recipe.teacher_threshold, recipe.max_new_tokens
    drafts = decode(student, batch.embed(student), decode_settings("one_step", threshold, longest))
    text_NR, trained_NR = pad_responses(
        [draft.tokens for draft in drafts],
        prompt.length,
        student.config.block_length,
        student.config.end_of_sequence,
    )
    device = prompt.embeds_NPD.device
    return rewrite_text(
        teacher, prompt, text_NR.to(device), trained_NR.to(device), looped(drafts).to(device), threshold
    )


class DcdObjective:
    """Fits the student's pass over fully masked blocks to the teacher's distributions."""

    def __init__(
        self,
        student: EchoNetwork,
        targets: TargetSource,
        recipe: DcdRecipe,
        rad: RadRecipe,
        row_tokens: int = 0,
    ) -> None:
        """Prepare the objective.

        Args:
            student: network to train.
            targets: source of the teacher's targets.
            recipe: weights and divergence.
            rad: noise of the RAD loss, if the recipe includes it.
            row_tokens: row length for packing, in tokens; 0 gives each example its own row.
        """
        self._row_tokens = row_tokens
        self._student, self._targets, self._recipe, self._rad = student, targets, recipe, rad
        self.own = nn.ModuleDict()

    def shares(self, parts: Sequence[Part]) -> list[Share]:
        """Return the weighted divergence from the teacher's rollouts, and the EOS term."""
        written = self._targets([batch for batch, _ in parts])
        return [self._share(*part, targets) for part, targets in zip(parts, written, strict=True)]

    def _share(self, batch: Batch, noise: Noise, targets: Targets) -> Share:
        weight_M = self._weights(targets.step_NR[targets.trained_NR])
        tokens = float(len(weight_M))
        counts = {"divergence": float(weight_M.sum()), "end_of_sequence": tokens}
        length, response_NR = batch.prompt_NP.shape[1], targets.response_NR
        noised = None
        if self._recipe.rad_weight:
            counts["rad"] = tokens
            least = self._rad.min_noise
            noised = add_noise(self._student, length, response_NR, targets.trained_NR, least, noise)
        rows, response = response_NR.shape
        copies = 1 if noised is None else 2
        laid_out = rad_length(length, response, self._student.config.block_length, copies)
        return Share(counts, rows * laid_out, partial(self._sums, batch, targets, weight_M, noised))

    def _sums(
        self, batch: Batch, targets: Targets, weight_M: Tensor, noised: NoisyResponse | None
    ) -> tuple[dict[str, Tensor], Metrics]:
        prompt = batch.embed(self._student)
        prefix_NR, label_NR, trained_NR = targets.prefix_NR, targets.response_NR, targets.trained_NR
        all_masked_NR = torch.full_like(label_NR, self._student.config.mask)
        copies = [all_masked_NR] if noised is None else [all_masked_NR, noised.noisy_NR]
        hidden_CNRD = noisy_hidden_states(
            self._student, prompt, prefix_NR, copies, trained_NR, self._row_tokens
        )
        logits_MV = self._student.lm_head(hidden_CNRD[0][trained_NR]).float()
        label_M = label_NR[trained_NR]
        terms = {
            "divergence": (weight_M * divergence(self._recipe.divergence, logits_MV, targets)).sum(),
            "end_of_sequence": self._recipe.eos_weight * self._end_of_sequence(logits_MV, label_M),
        }
        if noised is not None:
            restored, _ = masked_loss(self._student, hidden_CNRD[1], label_NR, noised)
            terms["rad"] = self._recipe.rad_weight * restored
        examples = len(label_NR)
        return terms, {
            "agreement": (float((logits_MV.argmax(-1) == label_M).sum()), len(label_M)),
            "rollouts_ended": (float(trained_NR.any(1).sum()), examples),
            "rollouts_looped": (float(targets.looped_N.sum()), examples),
        }

    def _weights(self, step_M: Tensor) -> Tensor:
        return step_M.float() if self._recipe.step_weights else torch.ones_like(step_M, dtype=torch.float)

    def _end_of_sequence(self, logits_MV: Tensor, label_M: Tensor) -> Tensor:
        """Return the sum of -log p(EOS) over the places at which the teacher ended."""
        is_end_M = label_M == self._student.config.end_of_sequence
        return F.cross_entropy(logits_MV[is_end_M], label_M[is_end_M], reduction="sum")
