"""The check computes what it claims, and repair leaves certain tokens unchanged."""

from dataclasses import replace

import pytest
import torch
from support.small_model import EOS, MASK, make_model, make_prompt

from echo_node.model.block_mask import rad_layout
from echo_node.model.decoding.block_writer import BlockWriter
from echo_node.model.decoding.canvas import DecodeSettings
from echo_node.model.decoding.check import check, repair
from echo_node.model.decoding.decoder import decode
from echo_node.model.network import Prompt
from echo_node.model.report_generation import EchoForReportGeneration


@torch.no_grad()
def _asked_without_cache(model: EchoForReportGeneration, one: Prompt, text: list[int]) -> list[float]:
    """Probability of each token, masked with all tokens of its parity, in the layout of RAD."""
    block, tail = model.config.block_length, one.length % model.config.block_length
    filled = text + [EOS] * (-(one.length + len(text)) % block)
    layout = rad_layout(one.length, len(filled), block)
    found = []
    for place in range(len(text)):
        masked = [MASK if (tail + i) % 2 == (tail + place) % 2 else t for i, t in enumerate(filled)]
        embeds = torch.cat(
            [
                one.embeds_NPD,
                model.embed_response(torch.tensor([filled])),
                one.embeds_NPD[:, layout.noisy_start :],
                model.embed_response(torch.tensor([masked])),
            ],
            1,
        )
        hidden = model.hidden_states(embeds, one.position_ids(layout.position_S), layout.mask_SS)
        logits = model.lm_head(hidden[0, -len(filled) + place])
        logits[MASK] = -torch.inf
        found.append(float(logits.softmax(-1)[filled[place]]))
    return found


@pytest.mark.parametrize("block", [2, 4, 8])
@pytest.mark.parametrize("text_tokens", [0, 3, 9])
def test_the_check_asks_each_token_beside_the_other_half(block: int, text_tokens: int) -> None:
    model = make_model(block, seed=block)
    prompt = make_prompt(model, text_tokens, sequences=3)
    plain = decode(model, prompt, DecodeSettings(0.0, 1, 24))
    marked = decode(model, prompt, DecodeSettings(0.0, 1, 24, check="mark"))
    for row, (before, after) in enumerate(zip(plain, marked, strict=True)):
        assert after.tokens == before.tokens
        assert after.forwards == before.forwards + 1
        text = [*before.tokens, *([EOS] if before.ended else [])]
        asked = _asked_without_cache(model, prompt.row(row), _whole_blocks(model, prompt, row, text))
        assert after.probabilities == pytest.approx(asked[: len(before.tokens)], abs=1e-4)


def _whole_blocks(model: EchoForReportGeneration, prompt: Prompt, row: int, text: list[int]) -> list[int]:
    """The text with what its last block holds behind the end of sequence."""
    writer = BlockWriter(model, prompt, DecodeSettings(0.0, 1, 24))
    with torch.inference_mode():
        while not writer.canvas.finished:
            writer.advance()
    block, start = model.config.block_length, int(prompt.length_N[row]) % model.config.block_length
    whole: list[int] = writer.canvas.token_NC[row, start : -(-(start + len(text)) // block) * block].tolist()
    assert whole[: len(text)] == text
    return whole


def test_repair_rewrites_the_improbable_and_leaves_the_rest() -> None:
    model = make_model(8, seed=5)
    prompt = make_prompt(model, 5, sequences=6)
    marked = decode(model, prompt, DecodeSettings(0.0, 1, 40, check="mark"))
    repaired = decode(model, prompt, DecodeSettings(0.0, 1, 40, check="repair", improbable=0.3))
    rewritten = 0
    for before, after in zip(marked, repaired, strict=True):
        assert len(after.tokens) == len(before.tokens)
        assert after.ending == before.ending
        assert EOS not in after.tokens
        assert MASK not in after.tokens
        for at, probability in enumerate(before.probabilities):
            if probability >= 0.3:
                assert after.tokens[at] == before.tokens[at]
            rewritten += after.tokens[at] != before.tokens[at]
    assert rewritten


def test_a_repaired_draft_is_likelier_and_says_how_likely() -> None:
    """Checking a repaired draft gives the probabilities of repair; no block is less likely."""
    model, settings = make_model(8, seed=5), DecodeSettings(0.5, 1, 40, check="repair", improbable=0.3)
    prompt = make_prompt(model, 5, sequences=6)
    writer = BlockWriter(model, prompt, settings)
    with torch.inference_mode():
        while not writer.canvas.finished:
            writer.advance()
        check(writer)
        before = writer.canvas.probability_NC.log().view(6, -1, 8).sum(-1)
        first = writer.canvas.token_NC.clone()
        repair(writer, settings)
        tokens, said = writer.canvas.token_NC, writer.canvas.probability_NC.clone()
        assert (said.log().view(6, -1, 8).sum(-1) >= before - 1e-4).all()
        changed = (tokens != first).view(6, -1, 8).any(-1)
        assert changed.any()
        again = BlockWriter(model, prompt, settings)
        again.canvas._block_N.copy_(writer.canvas._block_N)
        again.canvas._open_NC.copy_(writer.canvas._open_NC)
        again.load_response(first)
        again.canvas.token_NC.copy_(tokens)
        again.canvas.probability_NC.zero_()  # so that every block is asked
        check(again)
    text = writer.canvas.is_text
    assert torch.allclose(again.canvas.probability_NC[text], said[text], atol=1e-5)


def test_a_draft_without_improbable_words_costs_nothing_to_repair() -> None:
    model = make_model(8, seed=5)
    prompt = make_prompt(model, 5)
    marked = decode(model, prompt, DecodeSettings(0.0, 1, 40, check="mark"))
    least = min(min(d.probabilities) for d in marked)
    repaired = decode(model, prompt, DecodeSettings(0.0, 1, 40, check="repair", improbable=least / 2))
    assert repaired == marked


def test_blocks_without_a_doubt_are_not_asked() -> None:
    model = make_model(8, seed=5)
    prompt = make_prompt(model, 5, sequences=4)
    with torch.no_grad():
        model.lm_head.weight *= 20
    plain = decode(model, prompt, DecodeSettings(0.0, 1, 40))
    marked = decode(model, prompt, DecodeSettings(0.0, 1, 40, check="mark"))
    first = [-prompt.length % 8 or 8] * len(plain)  # tokens of the first block
    certain, asked = 0, 0
    for before, after, tokens in zip(plain, marked, first, strict=True):
        for at in range(0, len(before.tokens), 8):
            block = slice(max(0, at - 8 + tokens), at + tokens)
            if min(before.probabilities[block], default=1.0) >= 0.99:
                assert after.probabilities[block] == before.probabilities[block]
                certain += 1
            elif after.probabilities[block] != before.probabilities[block]:
                asked += 1
    assert certain
    assert asked
    with torch.no_grad():
        model.lm_head.weight *= 1000
    assert decode(model, prompt, DecodeSettings(0.0, 1, 40, check="mark")) == decode(
        model, prompt, DecodeSettings(0.0, 1, 40)
    )


@pytest.mark.parametrize("scale", [4, 12, 40])
@pytest.mark.parametrize("most_steps", [1, 3])
def test_what_is_asked_on_the_way_is_what_would_be_asked_at_the_end(scale: int, most_steps: int) -> None:
    """And it costs no forward: only a last block in doubt does."""
    model = make_model(8, seed=5)
    prompt = make_prompt(model, 5, sequences=6)
    with torch.no_grad():
        model.lm_head.weight *= scale
    settings = DecodeSettings(0.7, most_steps, 40)
    written = decode(model, prompt, settings)
    on_the_way = BlockWriter(model, prompt, replace(settings, check="mark"))
    at_the_end = BlockWriter(model, prompt, settings)
    with torch.inference_mode():
        for writer in (on_the_way, at_the_end):
            while not writer.canvas.finished:
                writer.advance()
        left = on_the_way.canvas.is_in_doubt
        assert on_the_way.canvas.forwards_N.tolist() == [draft.forwards for draft in written]
        for writer in (on_the_way, at_the_end):
            check(writer)
    last = on_the_way.canvas.is_text.long().cumsum(1).argmax(1) // 8
    assert not left.view(6, -1, 8).any(-1).scatter(1, last[:, None], value=False).any()
    for row, (one, other) in enumerate(
        zip(on_the_way.canvas.results(), at_the_end.canvas.results(), strict=True)
    ):
        assert one.tokens == other.tokens
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-5)
        assert one.forwards == written[row].forwards + bool(left[row].any())


def test_the_canvas_of_a_check_is_the_one_that_was_written() -> None:
    model = make_model(8, seed=5)
    writer = BlockWriter(model, make_prompt(model, 5), DecodeSettings(0.0, 1, 40))
    with torch.inference_mode():
        while not writer.canvas.finished:
            writer.advance()
        before = writer.canvas.token_NC.clone()
        check(writer)
    assert torch.equal(before, writer.canvas.token_NC)
