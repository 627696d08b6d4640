"""DCD, Direct Conditional Distillation: a teacher's many steps into a student's one (ECHO, alg. 1).

Shapes: N examples, R response, M trained tokens of the batch, V vocabulary.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it
from torch import Tensor, nn

from echo_node.model.decode import decode, settings_of
from echo_node.model.vlm import EchoForReportGeneration
from training.collate import Batch, pad_responses
from training.rad import Loss, noisy_hidden_states, rad_loss
from training.recipe import DcdRecipe, RadRecipe
from training.teacher import Rollout, continue_text, roll_out


class DcdObjective:
    """Fit the student's one forward over fully masked blocks to the teacher's committed distributions."""

    def __init__(
        self,
        student: EchoForReportGeneration,
        teacher: EchoForReportGeneration,
        recipe: DcdRecipe,
        rad: RadRecipe,
    ) -> None:
        self._student, self._teacher, self._recipe, self._rad = student, teacher, recipe, rad
        self.own = nn.ModuleDict()
        self._teacher.requires_grad_(requires_grad=False)

    def loss(self, batch: Batch, generator: torch.Generator) -> Loss:
        """Return the weighted divergence over the teacher's rollouts, with the EOS term."""
        inputs = (batch.prompt_NP, batch.pixel_values, batch.grid_thw)
        with torch.no_grad():
            rollout = self._roll_out(*inputs)
        prompt = self._student.embed_prompt(*inputs)
        prefix_NR, label_NR, trained_NR = rollout.prefix_NR, rollout.response_NR, rollout.trained_NR
        all_masked_NR = torch.full_like(label_NR, self._student.config.mask)
        hidden_NRD = noisy_hidden_states(self._student, prompt, prefix_NR, all_masked_NR)
        logits_MV = self._student.lm_head(hidden_NRD[trained_NR]).float()
        label_M = label_NR[trained_NR]
        divergence_M = self._divergence(logits_MV, rollout.log_prob_NRV[trained_NR], label_M)
        weight_M = self._weights(rollout.step_NR[trained_NR])
        loss = (weight_M * divergence_M).sum() / weight_M.sum()
        loss = loss + self._recipe.eos_weight * self._end_of_sequence(logits_MV, label_M)
        if self._recipe.rad_weight:
            extra, _ = rad_loss(
                self._student, prompt, prefix_NR, label_NR, trained_NR, self._rad.min_noise, generator
            )
            loss = loss + self._recipe.rad_weight * extra
        agreement = float((logits_MV.argmax(-1) == label_M).float().mean())
        return loss, {"agreement": agreement, "rollouts_ended": float(trained_NR.any(1).float().mean())}

    def _roll_out(self, *inputs: Tensor) -> Rollout:
        prompt = self._teacher.embed_prompt(*inputs)
        threshold, longest = self._recipe.teacher_threshold, self._recipe.max_new_tokens
        if self._recipe.prefix == "teacher":
            return roll_out(self._teacher, prompt, threshold, longest)
        drafts = decode(
            self._student, self._student.embed_prompt(*inputs), settings_of("one_step", threshold, longest)
        )
        config = self._student.config
        text_NR, trained_NR = pad_responses(
            [draft.tokens for draft in drafts], prompt.length, config.block_length, config.end_of_sequence
        )
        device = prompt.embeds_NPD.device
        return continue_text(self._teacher, prompt, text_NR.to(device), trained_NR.to(device), threshold)

    def _divergence(self, logits_MV: Tensor, teacher_MV: Tensor, label_M: Tensor) -> Tensor:
        if self._recipe.divergence == "cross_entropy":
            return F.cross_entropy(logits_MV, label_M, reduction="none")
        finite_MV = teacher_MV.clamp(min=-1e4)  # the mask token has probability 0: 0 * log 0 is 0
        student_MV = F.log_softmax(logits_MV, -1)
        return (finite_MV.exp() * (finite_MV - student_MV)).sum(-1)

    def _weights(self, step_M: Tensor) -> Tensor:
        return step_M.float() if self._recipe.step_weights else torch.ones_like(step_M, dtype=torch.float)

    def _end_of_sequence(self, logits_MV: Tensor, label_M: Tensor) -> Tensor:
        """Return the mean of -log p(EOS) where the teacher ended, scaled by how many tokens that are."""
        is_end_M = label_M == self._student.config.end_of_sequence
        entropy_M = F.cross_entropy(logits_MV[is_end_M], label_M[is_end_M], reduction="sum")
        return entropy_M / max(1, len(label_M))
