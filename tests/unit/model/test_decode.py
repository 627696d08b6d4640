"""Decoding is exact: fused equals unfused, cached equals uncached, a batch equals its members."""

import pytest
import torch
from support.small_model import EOS, MASK, make_model, make_prompt
from torch import Tensor

from echo_node.model.block_mask import block_causal
from echo_node.model.decode import Decoded, DecodeSettings, decode
from echo_node.model.vlm import EchoForReportGeneration, Prompt

BLOCKS = [1, 4, 8]
TAILS = [0, 1, 3, 6]  # text tokens behind six others: P mod B takes many values
THRESHOLDS = [0.0, 0.3, 1.0]


def _uncached(
    model: EchoForReportGeneration, prompt: Prompt, threshold: float, limit: int
) -> list[list[int]]:
    """The definition: every step runs the whole sequence under the block-causal mask, no cache, no fusion."""
    block = model.config.block_length
    rows = []
    for row in range(prompt.embeds_NPD.shape[0]):
        one = Prompt(prompt.embeds_NPD[[row]], prompt.position_3NP[:, [row]], prompt.offset_N[[row]])
        written: list[int] = []
        while len(written) < limit and EOS not in written:
            room = block - (prompt.length + len(written)) % block
            current = [MASK] * room
            while MASK in current:
                probability, choice = _distribution(model, one, written + current)
                opened = [i for i, token in enumerate(current) if token == MASK]
                at = {i: probability[prompt.length + len(written) + i] for i in opened}
                commit = [i for i in opened if at[i] >= threshold] or [max(opened, key=lambda i: at[i])]
                for i in commit:
                    current[i] = int(choice[prompt.length + len(written) + i])
            written += current
        rows.append(written[: written.index(EOS)] if EOS in written else written)
    return rows


@torch.no_grad()
def _distribution(model: EchoForReportGeneration, one: Prompt, response: list[int]) -> tuple[Tensor, Tensor]:
    embeds = torch.cat([one.embeds_NPD, model.embed_response(torch.tensor([response]))], 1)
    length = embeds.shape[1]
    mask = block_causal(length, model.config.block_length)
    hidden = model.hidden_states(embeds, one.position_ids(torch.arange(length)), mask)
    logits = model.lm_head(hidden)[0]
    logits[:, MASK] = -torch.inf
    probability, choice = logits.softmax(-1).max(-1)
    return probability, choice


def _tokens(decoded: list[Decoded]) -> list[list[int]]:
    return [list(d.tokens) for d in decoded]


@pytest.mark.parametrize("threshold", THRESHOLDS)
@pytest.mark.parametrize("text_tokens", TAILS)
@pytest.mark.parametrize("block", BLOCKS)
def test_decoding_equals_its_definition(block: int, text_tokens: int, threshold: float) -> None:
    model = make_model(block)
    prompt = make_prompt(model, text_tokens)
    decoded = decode(model, prompt, DecodeSettings(threshold, 24))
    assert _tokens(decoded) == _uncached(model, prompt, threshold, 24)


@pytest.mark.parametrize("threshold", THRESHOLDS)
@pytest.mark.parametrize("text_tokens", TAILS)
@pytest.mark.parametrize("block", BLOCKS)
def test_fused_equals_unfused_token_for_token(block: int, text_tokens: int, threshold: float) -> None:
    model = make_model(block, seed=3)
    prompt = make_prompt(model, text_tokens)
    fused = decode(model, prompt, DecodeSettings(threshold, 32))
    unfused = decode(model, prompt, DecodeSettings(threshold, 32, fused=False))
    assert _tokens(fused) == _tokens(unfused)
    assert all(f.forwards <= u.forwards for f, u in zip(fused, unfused, strict=True))


def test_one_step_costs_one_forward_a_block_fused_and_about_two_unfused() -> None:
    model = make_model(8)
    prompt = make_prompt(model, 2)  # P = 8: no tail
    fused = decode(model, prompt, DecodeSettings(0.0, 32))
    unfused = decode(model, prompt, DecodeSettings(0.0, 32, fused=False))
    for f, u in zip(fused, unfused, strict=True):
        blocks = -(-f.written // 8)
        assert f.forwards == blocks
        assert u.forwards == 2 * blocks - 1  # nothing reads the last block's keys and values


@pytest.mark.parametrize("threshold", [0.0, 0.4])
def test_a_batch_equals_its_members(threshold: float) -> None:
    model = make_model(4)
    prompt = make_prompt(model, 3, sequences=4)
    together = decode(model, prompt, DecodeSettings(threshold, 24))
    for row in range(4):
        one = Prompt(prompt.embeds_NPD[[row]], prompt.position_3NP[:, [row]], prompt.offset_N[[row]])
        alone = decode(model, one, DecodeSettings(threshold, 24))[0]
        assert alone.tokens == together[row].tokens
        assert alone.forwards == together[row].forwards


def test_nothing_behind_the_end_of_sequence_counts() -> None:
    model = make_model(8)
    with torch.no_grad():
        model.lm_head.weight[EOS] += 100 * model.lm_head.weight.mean(0).sign()
    found = [
        d
        for seed in range(20)
        for d in decode(model, make_prompt(model, 3, seed=seed), DecodeSettings(0.0, 32))
    ]
    ended = [d for d in found if d.ended]
    assert ended
    for d in ended:
        assert EOS not in d.tokens
        assert d.written == len(d.tokens) + 1
        assert len(d.probabilities) == len(d.tokens)


def test_the_mask_is_never_written() -> None:
    model = make_model(8)
    with torch.no_grad():
        model.lm_head.weight[MASK] *= 50
    for d in decode(model, make_prompt(model, 3), DecodeSettings(0.5, 32)):
        assert MASK not in d.tokens


def test_an_edit_changes_only_its_block_and_later_ones() -> None:
    model = make_model(8)
    prompt = make_prompt(model, 18)
    mask = block_causal(24, 8)
    positions = prompt.position_ids(torch.arange(24))
    edited = prompt.embeds_NPD.clone()
    edited[:, 11] += 1.0
    with torch.no_grad():
        before = model.hidden_states(prompt.embeds_NPD, positions, mask)
        after = model.hidden_states(edited, positions, mask)
    changed = (before != after).any(-1).any(0)
    assert not changed[:8].any()
    assert changed[8:].all()
