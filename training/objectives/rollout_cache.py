"""Cache of a teacher's rollouts on disk: written once per image, read in later epochs and runs.

The cache contains the targets of a student: committed tokens, their steps, and the most probable
tokens of each distribution. The name of a folder identifies one teacher, one data set and one
decoding.

Shapes: N examples, R response, L trained tokens of one example, K kept tokens of each distribution.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from training.examples.collate import Batch, concatenated
from training.file_cache import save_tensors
from training.objectives.dcd import TargetSource
from training.objectives.targets import Targets
from training.recipe import DcdRecipe

CachedRollout = dict[str, Tensor]
"""Rollout of one example: `response_L`, `step_L`, `log_prob_LK`, `token_LK` and `looped`."""


def folder_name(teacher_digest: str, recipe: DcdRecipe, data: str) -> str:
    """Return the name of the folder for rollouts.

    Args:
        teacher_digest: digest of the teacher's checkpoint.
        recipe: settings of its decoding, and number of kept tokens.
        data: key of the data and of the image preparation (`examples_key`).
    """
    identity = f"{teacher_digest} {recipe.teacher_threshold} {recipe.max_new_tokens} {recipe.top_k} {data}"
    return hashlib.sha256(identity.encode()).hexdigest()[:16]


class RolloutCache:
    """Source of targets that reads them from disk, and asks the teacher only for missing ones."""

    def __init__(
        self, write: TargetSource, folder: Path, eos_id: int, min_length: int, at_once: int = 0
    ) -> None:
        """Open the cache.

        Args:
            write: source of new targets, which must contain the ids of the kept tokens.
            folder: folder of the rollouts, created if necessary.
            eos_id: token id that pads shorter responses.
            min_length: minimum length of a response, in tokens; it fills the prompt's last block.
            at_once: approximate number of examples for which the teacher writes at once; 0 uses
                the size of one part of a batch.
        """
        self._write, self._folder, self._eos_id, self._min_length = write, folder, eos_id, min_length
        self._at_once = at_once
        folder.mkdir(parents=True, exist_ok=True)

    def __call__(self, parts: Sequence[Batch]) -> list[Targets]:
        """Return the targets of parts of a batch; their examples must have numbers."""
        for group in self._groups(parts):
            self._complete(group)
        return [self._read(batch) for batch in parts]

    def _groups(self, parts: Sequence[Batch]) -> list[list[Batch]]:
        """Return the parts in groups of the size for which the teacher writes at once."""
        groups: list[list[Batch]] = []
        room = 0
        for batch in parts:
            size = len(batch.prompt_NP)
            if size > room:
                groups.append([])
                room = max(self._at_once, size)
            groups[-1].append(batch)
            room -= size
        return groups

    def _complete(self, parts: Sequence[Batch]) -> None:
        """Let the teacher write for all parts if any rollout is missing.

        The group is always written as a whole, so that a killed run writes the same rollouts when
        it is resumed.
        """
        paths = [path for batch in parts for path in self._paths(batch)]
        if all(path.is_file() for path in paths):
            return
        [targets] = self._write([concatenated(parts)])
        for path, rollout in zip(paths, split_targets(targets), strict=True):
            save_tensors(rollout, path, "free some space and run the same command again")

    def _read(self, batch: Batch) -> Targets:
        rollouts = [torch.load(path, weights_only=True) for path in self._paths(batch)]
        return merge_targets(rollouts, self._eos_id, self._min_length, batch.prompt_NP.device)

    def _paths(self, batch: Batch) -> list[Path]:
        if batch.index_N is None:
            raise ValueError("cached rollouts need numbered examples, and this batch has no numbers")
        return [self._folder / f"{index}.pt" for index in batch.index_N.tolist()]


def split_targets(targets: Targets) -> list[CachedRollout]:
    """Return the rollout of each example, as the cache stores it."""
    if targets.token_MK is None:
        raise ValueError("whole distributions are not cached: dcd.top_k must be less than the vocabulary")
    lengths = targets.trained_NR.sum(1).tolist()
    log_probs = torch.split(targets.log_prob_MK, lengths)
    tokens = torch.split(targets.token_MK, lengths)
    return [
        {
            "response_L": targets.response_NR[n, :length].cpu().clone(),
            "step_L": targets.step_NR[n, :length].cpu().clone(),
            "log_prob_LK": log_probs[n].cpu().clone(),
            "token_LK": tokens[n].cpu().clone(),
            "looped": targets.looped_N[n].cpu().clone(),
        }
        for n, length in enumerate(lengths)
    ]


def merge_targets(
    rollouts: Sequence[CachedRollout], eos_id: int, min_length: int, device: torch.device
) -> Targets:
    """Return the targets of a batch of cached rollouts; shorter responses are padded with EOS."""
    lengths = [len(rollout["response_L"]) for rollout in rollouts]
    width = max(min_length, *lengths)
    response_NR = torch.full((len(rollouts), width), eos_id)
    step_NR = torch.zeros_like(response_NR)
    for n, rollout in enumerate(rollouts):
        response_NR[n, : lengths[n]] = rollout["response_L"]
        step_NR[n, : lengths[n]] = rollout["step_L"]
    trained_NR = torch.arange(width)[None] < torch.tensor(lengths)[:, None]
    response_NR = response_NR.to(device)
    return Targets(
        prefix_NR=response_NR,
        response_NR=response_NR,
        step_NR=step_NR.to(device),
        trained_NR=trained_NR.to(device),
        looped_N=torch.stack([rollout["looped"] for rollout in rollouts]).to(device),
        log_prob_MK=torch.cat([rollout["log_prob_LK"] for rollout in rollouts]).to(device),
        token_MK=torch.cat([rollout["token_LK"] for rollout in rollouts]).to(device),
    )
