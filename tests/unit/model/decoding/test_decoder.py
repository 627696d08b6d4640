"""Decoding is exact: fused equals unfused, cached equals uncached, a batch equals its members."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.small_model import EOS, IMAGE, MASK, make_model, make_prompt, prompt_inputs
from torch import Tensor
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

from echo_node.model.block_mask import block_causal
from echo_node.model.decoding.canvas import Check, Decoded, DecodeSettings, DecodingStep
from echo_node.model.decoding.decoder import Decoder, decode
from echo_node.model.network import Prompt
from echo_node.model.report_generation import EchoForReportGeneration

TAILS = [0, 1, 3, 6]  # text tokens behind six others: P mod B takes many values
_MODELS = {block: make_model(block, seed=block) for block in (1, 2, 4, 8)}
_OURS = {"model_type", "block_length", "mask_token_id", "architectures"}


def _uncached(
    model: EchoForReportGeneration, prompt: Prompt, threshold: float, limit: int, most_steps: int = 0
) -> list[list[int]]:
    """Decode by definition: each step runs the whole sequence, without cache or fusion."""
    block = model.config.block_length
    rows = []
    for row in range(len(prompt.length_N)):
        one = prompt.row(row)
        written: list[int] = []
        while len(written) < limit and EOS not in written and not _loops(written, one.length % block):
            room = block - (one.length + len(written)) % block
            current, step = [MASK] * room, 0
            while MASK in current:
                step += 1
                probability, choice = _distribution(model, one, written + current)
                opened = [i for i, token in enumerate(current) if token == MASK]
                at = {i: probability[one.length + len(written) + i] for i in opened}
                commit = [i for i in opened if at[i] >= threshold] or [max(opened, key=lambda i: at[i])]
                commit = opened if step == most_steps else commit
                for i in commit:
                    current[i] = int(choice[one.length + len(written) + i])
            written += current
        rows.append(written[: written.index(EOS)] if EOS in written else written)
    return rows


def _loops(written: list[int], tail: int) -> bool:
    whole = [MASK] * tail + written
    for period in range(1, 33):
        looked_at = whole[-max(3 * period, 24) :]
        if len(looked_at) == max(3 * period, 24) and looked_at[period:] == looked_at[:-period]:
            return True
    return False


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


@settings(max_examples=60, deadline=None)
@given(
    block=st.sampled_from([1, 2, 4, 8]),
    text_tokens=st.integers(0, 12),
    threshold=st.sampled_from([0.0, 0.3, 1.0]),
    most_steps=st.integers(0, 3),
    limit=st.integers(1, 40),
    seed=st.integers(0, 50),
)
def test_decoding_equals_its_definition_fused_and_unfused(
    block: int, text_tokens: int, threshold: float, most_steps: int, limit: int, seed: int
) -> None:
    model = _MODELS[block]
    prompt = make_prompt(model, text_tokens, seed=seed)
    fused = decode(model, prompt, DecodeSettings(threshold, most_steps, limit))
    unfused = decode(model, prompt, DecodeSettings(threshold, most_steps, limit, "unfused"))
    assert _tokens(fused) == _tokens(unfused) == _uncached(model, prompt, threshold, limit, most_steps)
    assert all(f.forwards <= u.forwards for f, u in zip(fused, unfused, strict=True))


def test_one_step_costs_one_forward_a_block_fused_and_about_two_unfused() -> None:
    model = make_model(8)
    prompt = make_prompt(model, 2)  # P = 8: no tail
    fused = decode(model, prompt, DecodeSettings(0.0, 1, 32))
    unfused = decode(model, prompt, DecodeSettings(0.0, 1, 32, "unfused"))
    for f, u in zip(fused, unfused, strict=True):
        blocks = -(-f.written // 8)
        assert f.forwards == blocks
        assert u.forwards == 2 * blocks - 1  # nothing reads the last block's keys and values


@settings(max_examples=30, deadline=None)
@given(
    block=st.sampled_from([1, 4, 8]),
    texts=st.lists(st.integers(0, 20), min_size=2, max_size=5),
    threshold=st.sampled_from([0.0, 0.4]),
    check=st.sampled_from(["off", "mark", "repair"]),
)
def test_a_batch_of_prompts_of_any_lengths_equals_its_members(
    block: int, texts: list[int], threshold: float, check: Check
) -> None:
    model = _MODELS[block]
    wanted = DecodeSettings(threshold, 2, 24, check=check, improbable=0.3)
    together = decode(model, _of_lengths(model, texts), wanted)
    for row, text_tokens in enumerate(texts):
        alone = decode(model, make_prompt(model, text_tokens, sequences=1, seed=row), wanted)[0]
        assert alone.tokens == together[row].tokens
        assert alone.forwards == together[row].forwards
        assert alone.probabilities == pytest.approx(together[row].probabilities, abs=1e-4)


def _of_lengths(model: EchoForReportGeneration, texts: list[int]) -> Prompt:
    """Prompts of make_prompt for these numbers of text tokens and seeds 0, 1, ..., as a batch."""
    rows, pixels = [], []
    for seed, text_tokens in enumerate(texts):
        ids, patches = prompt_inputs(text_tokens, sequences=1, seed=seed)
        rows.append(ids[0])
        pixels.append(patches)
    ids_NP = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=9)
    grid = torch.tensor([[1, 4, 4]] * len(texts))
    with torch.no_grad():
        return model.embed_prompt(ids_NP, torch.cat(pixels), grid, torch.tensor([len(row) for row in rows]))


@pytest.mark.parametrize("text_tokens", TAILS)
def test_next_token_reading_is_the_greedy_decoding_of_stock_qwen(text_tokens: int) -> None:
    model = _MODELS[8]
    stock = Qwen2_5_VLForConditionalGeneration(
        Qwen2_5_VLConfig(**{k: v for k, v in model.config.to_dict().items() if k not in _OURS})
    ).eval()
    stock.load_state_dict(model.state_dict())
    ids, pixels = prompt_inputs(text_tokens, sequences=3, seed=4)
    grid = torch.tensor([[1, 4, 4]] * 3)
    is_image = (ids == IMAGE).int()
    with torch.no_grad():
        prompt = model.embed_prompt(ids, pixels, grid)
        wanted = stock.generate(
            input_ids=ids, pixel_values=pixels, image_grid_thw=grid, mm_token_type_ids=is_image,
            attention_mask=torch.ones_like(ids), max_new_tokens=20, do_sample=False, eos_token_id=EOS,
            pad_token_id=EOS,
        )[:, ids.shape[1] :].tolist()  # fmt: skip
    decoded = decode(model, prompt, DecodeSettings(0.0, 0, 20, "next_token"))
    for row, ours in zip(wanted, decoded, strict=True):
        assert list(ours.tokens) == (row[: row.index(EOS)] if EOS in row else row)


@pytest.mark.parametrize("check", ["off", "mark", "repair"])
def test_a_decoder_writes_batch_after_batch_what_a_new_one_writes(check: Check) -> None:
    model = make_model(8, seed=5)
    wanted = DecodeSettings(0.6, 3, 40, check=check, improbable=0.3)
    decoder, longest = Decoder(model, wanted), 300
    for seed, (text_tokens, sequences) in enumerate([(5, 3), (0, 3), (7, 3), (2, 1), (longest, 1), (3, 1)]):
        prompt = make_prompt(model, text_tokens, sequences, seed)
        fresh, kept = decode(model, prompt, wanted), decoder.write(prompt)
        assert [d.tokens for d in kept] == [d.tokens for d in fresh]
        for one, other in zip(kept, fresh, strict=True):
            assert one.probabilities == pytest.approx(other.probabilities, abs=1e-5)
            assert (one.forwards, one.ending) == (other.forwards, other.ending)
    assert decoder.begin(make_prompt(model, 1, 1)).fits(make_prompt(model, longest, 1))


def test_what_failed_on_the_way_does_not_write_the_next_draft() -> None:
    model, wanted = make_model(8, seed=5), DecodeSettings(0.6, 3, 40)
    decoder, prompt = Decoder(model, wanted), make_prompt(model, 5)
    kept = [decoder.begin(prompt)]
    decoder.finish(kept[0])
    assert decoder.begin(prompt) is kept[0]
    decoder.finish(kept[0])

    def fail(_step: DecodingStep) -> None:
        raise MemoryError

    with pytest.raises(MemoryError):
        decoder.write(prompt, fail)
    assert decoder.begin(prompt) is not kept[0]
    assert decoder.write(prompt) == decode(model, prompt, wanted)


def test_a_draft_that_repeats_itself_is_stopped() -> None:
    model = make_model(8)
    with torch.no_grad():
        model.lm_head.weight[EOS] = 0
        model.lm_head.weight[10] *= 20
        model.lm_head.weight[11] = -model.lm_head.weight[10]
    for decoded in decode(model, make_prompt(model, 2), DecodeSettings(0.0, 1, 200)):
        assert decoded.ending == "loop"
        assert len(decoded.tokens) < 200


def test_each_step_is_told() -> None:
    model = make_model(8)
    prompt = make_prompt(model, 3)
    steps: list[DecodingStep] = []
    decoded = decode(model, prompt, DecodeSettings(0.5, 0, 24), steps.append)
    assert len(steps) == max(d.forwards for d in decoded)
    told = {}
    for step in steps:
        for row, place in step.commit_NB.nonzero().tolist():
            told[row, int(step.column_NB[row, place])] = int(step.token_NB[row, place])
    for row, d in enumerate(decoded):
        columns = sorted(column for at, column in told if at == row)
        assert [told[row, column] for column in columns][: len(d.tokens)] == list(d.tokens)


def test_nothing_behind_the_end_of_sequence_counts() -> None:
    model = make_model(8)
    with torch.no_grad():
        model.lm_head.weight[EOS] += 100 * model.lm_head.weight.mean(0).sign()
    found = [
        d
        for seed in range(20)
        for d in decode(model, make_prompt(model, 3, seed=seed), DecodeSettings(0.0, 1, 32))
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
    for d in decode(model, make_prompt(model, 3), DecodeSettings(0.5, 0, 32)):
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
