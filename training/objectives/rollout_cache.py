"""A teacher's rollouts on disk: written once for each image, read in every later epoch and run.

What is kept is what a student is fitted to: committed tokens, their steps, the most probable tokens of each
distribution. A folder belongs to one teacher, one set of data and one way of decoding, by its name.

Shapes: N examples, R response, L trained tokens of one example, K kept tokens of each distribution.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from training.examples.collate import Batch, concatenated
from training.file_cache import keep
from training.objectives.dcd import TargetSource
from training.objectives.targets import Targets
from training.recipe import DcdRecipe

Kept = dict[str, Tensor]
"""Of one example: `response_L`, `step_L`, `log_prob_LK`, `token_LK` and `looped`."""


def folder_name(teacher_digest: str, recipe: DcdRecipe, data: str) -> str:
    """Return the name of the folder that rollouts belong in.

    Args:
        teacher_digest: of the teacher's checkpoint.
        recipe: how it decodes, and how much is kept.
        data: what else decides the rollouts: data and preparation.
    """
    decides = f"{teacher_digest} {recipe.teacher_threshold} {recipe.max_new_tokens} {recipe.top_k} {data}"
    return hashlib.sha256(decides.encode()).hexdigest()[:16]


class RolloutCache:
    """Targets of batches: from disk, or from the teacher the first time."""

    def __init__(self, write: TargetSource, folder: Path, eos_id: int, least: int, at_once: int = 0) -> None:
        """Know the folder.

        Args:
            write: lets the teacher write; its targets name the tokens they keep.
            folder: where rollouts are kept; made if need be.
            eos_id: fills shorter responses up.
            least: tokens of the shortest response: to the end of the prompt's last block.
            at_once: about how many examples the teacher writes at once; 0: one part of a batch.
        """
        self._write, self._folder, self._eos_id, self._least = write, folder, eos_id, least
        self._at_once = at_once
        folder.mkdir(parents=True, exist_ok=True)

    def __call__(self, parts: Sequence[Batch]) -> list[Targets]:
        """Return the targets of parts of a batch, whose examples are numbered."""
        for some in self._groups(parts):
            self._complete(some)
        return [self._read(batch) for batch in parts]

    def _groups(self, parts: Sequence[Batch]) -> list[list[Batch]]:
        """Return parts in groups of as many examples as the teacher writes about at once."""
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
        """Let the teacher write, if some is missing about all, so that the same is written after a kill."""
        paths = [path for batch in parts for path in self._paths(batch)]
        if all(path.is_file() for path in paths):
            return
        [targets] = self._write([concatenated(parts)])
        for path, kept in zip(paths, split_targets(targets), strict=True):
            keep(kept, path, "free some space and run the same command again")

    def _read(self, batch: Batch) -> Targets:
        kept = [torch.load(path, weights_only=True) for path in self._paths(batch)]
        return merge_targets(kept, self._eos_id, self._least, batch.prompt_NP.device)

    def _paths(self, batch: Batch) -> list[Path]:
        if batch.index_N is None:
            raise ValueError("kept rollouts belong to numbered examples, and this batch has no numbers")
        return [self._folder / f"{index}.pt" for index in batch.index_N.tolist()]


def split_targets(targets: Targets) -> list[Kept]:
    """Return what is kept of each example."""
    if targets.token_MK is None:
        raise ValueError("whole distributions are not kept: dcd.top_k must be less than the vocabulary")
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


def merge_targets(kept: Sequence[Kept], eos_id: int, least: int, device: torch.device) -> Targets:
    """Return the targets of a batch of kept examples, shorter responses filled up with EOS."""
    lengths = [len(each["response_L"]) for each in kept]
    longest = max(least, *lengths)
    response_NR = torch.full((len(kept), longest), eos_id)
    step_NR = torch.zeros_like(response_NR)
    for n, each in enumerate(kept):
        response_NR[n, : lengths[n]] = each["response_L"]
        step_NR[n, : lengths[n]] = each["step_L"]
    trained_NR = torch.arange(longest)[None] < torch.tensor(lengths)[:, None]
    response_NR = response_NR.to(device)
    return Targets(
        prefix_NR=response_NR,
        response_NR=response_NR,
        step_NR=step_NR.to(device),
        trained_NR=trained_NR.to(device),
        looped_N=torch.stack([each["looped"] for each in kept]).to(device),
        log_prob_MK=torch.cat([each["log_prob_LK"] for each in kept]).to(device),
        token_MK=torch.cat([each["token_LK"] for each in kept]).to(device),
    )
