"""RAD is exact: it equals full duplication, and fully masked it equals decoding."""

import pytest
import torch
from support.one_update import loss_and_metrics
from support.small_model import EOS, MASK, make_model, make_prompt

from echo_node.model.block_mask import Elements, block_causal, visible
from training.examples.collate import Batch, pad_responses
from training.objectives.noise import Noise
from training.objectives.rad import RadObjective, add_noise, block_numbers, noisy_hidden_states, rad_loss
from training.objectives.with_findings_probe import WithFindingsProbe
from training.recipe import RadRecipe

CASES = [(block, text) for block in (1, 4, 8) for text in (0, 1, 2, 5)]


def _response(prompt_length: int, block: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(5)
    texts = [torch.randint(8, 40, (n,), generator=generator).tolist() for n in (9, 14)]
    return pad_responses(texts, prompt_length, block, EOS)[0]


@pytest.mark.parametrize(("block", "text_tokens"), CASES)
def test_rad_equals_duplicating_the_whole_sequence(block: int, text_tokens: int) -> None:
    model = make_model(block)
    prompt = make_prompt(model, text_tokens)
    clean = _response(prompt.length, block)
    noisy = clean.masked_fill(torch.rand(clean.shape, generator=torch.Generator().manual_seed(1)) < 0.5, MASK)
    total = prompt.length + clean.shape[1]
    position = torch.arange(total).repeat(2)
    elements = Elements(position // block, torch.arange(2 * total) // total)
    mask = visible(elements, elements)
    with torch.no_grad():
        embeds = torch.cat(
            [prompt.embeds_NPD, model.embed_response(clean), prompt.embeds_NPD, model.embed_response(noisy)],
            1,
        )
        full = model.hidden_states(embeds, prompt.position_ids(position), mask)[:, -clean.shape[1] :]
        [rad] = noisy_hidden_states(model, prompt, clean, [noisy])
    torch.testing.assert_close(rad, full, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("block", "text_tokens"), CASES)
def test_copies_behind_one_clean_text_are_what_each_is_alone(block: int, text_tokens: int) -> None:
    model = make_model(block)
    prompt = make_prompt(model, text_tokens)
    clean = _response(prompt.length, block)
    copies = [torch.full_like(clean, MASK), clean.masked_fill(clean % 3 == 0, MASK), clean]
    with torch.no_grad():
        together = noisy_hidden_states(model, prompt, clean, copies)
        alone = [noisy_hidden_states(model, prompt, clean, [copy])[0] for copy in copies]
    torch.testing.assert_close(together, torch.stack(alone), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("block", "text_tokens"), CASES)
def test_all_masked_rad_logits_are_the_inference_logits(block: int, text_tokens: int) -> None:
    model = make_model(block)
    prompt = make_prompt(model, text_tokens)
    clean = _response(prompt.length, block)
    numbers = block_numbers(prompt.length, clean.shape[1], block)
    with torch.no_grad():
        [rad] = model.lm_head(noisy_hidden_states(model, prompt, clean, [torch.full_like(clean, MASK)]))
        for number in numbers.unique():
            inside = numbers == number
            end = prompt.length + int(inside.nonzero().max()) + 1
            seen = clean.masked_fill(inside, MASK)[:, : end - prompt.length]
            embeds = torch.cat([prompt.embeds_NPD, model.embed_response(seen)], 1)
            hidden = model.hidden_states(
                embeds, prompt.position_ids(torch.arange(end)), block_causal(end, block)
            )
            inference = model.lm_head(hidden)[:, prompt.length :][:, inside[: end - prompt.length]]
            torch.testing.assert_close(rad[:, inside], inference, atol=1e-4, rtol=1e-4)


def test_padding_of_a_batch_changes_no_example_s_loss() -> None:
    model = make_model(8)
    prompt = make_prompt(model, 5)
    short, trained = pad_responses([[9] * 5, [9] * 5], prompt.length, 8, EOS)
    long, _ = pad_responses([[9] * 5, [9] * 30], prompt.length, 8, EOS)
    masks = torch.full_like(short, MASK)
    with torch.no_grad():
        [alone] = noisy_hidden_states(model, prompt, short, [masks])
        [padded] = noisy_hidden_states(model, prompt, long, [torch.full_like(long, MASK)])
    torch.testing.assert_close(alone[0], padded[0, : short.shape[1]], atol=1e-5, rtol=1e-5)
    assert bool(trained.all())


def test_responses_are_filled_with_eos_to_whole_blocks_and_trained_to_there() -> None:
    response, trained = pad_responses([[9, 9], [9] * 8], prompt_length=13, block_length=8, eos_id=EOS)
    assert response.tolist() == [[9, 9, EOS] + [EOS] * 8, [9] * 8 + [EOS] * 3]
    assert trained.tolist() == [[True] * 3 + [False] * 8, [True] * 11]


def test_the_loss_weighs_every_block_by_its_own_noise() -> None:
    model = make_model(4)
    prompt = make_prompt(model, 2)
    response, trained = pad_responses([[9] * 11, [10] * 11], prompt.length, 4, EOS)

    def loss(min_noise: float, seed: int) -> float:
        noised = add_noise(model, prompt.length, response, trained, min_noise, Noise(seed))
        with torch.no_grad():
            return float(rad_loss(model, prompt, response, noised)[0] / trained.sum())

    losses = [loss(0.1, seed) for seed in range(200)]
    everything = loss(1.0, 0)
    # The 1/t weights make the expected number of weighted tokens equal to the number of tokens.
    assert sum(losses) / len(losses) == pytest.approx(everything, rel=0.25)


def test_reading_the_findings_is_learnt_beside_the_words_and_left_out_of_the_model() -> None:
    model = make_model(4)
    names = set(model.state_dict())
    objective = WithFindingsProbe(RadObjective(model, RadRecipe()), model, values=[2], weight=1.0)
    findings = torch.tensor([[0], [1]] * 4)
    pixels = torch.randn((8, 16, 1176), generator=torch.Generator().manual_seed(2))
    prompt = torch.tensor([[6, 5, 5, 5, 5, 7, 9, 10]] * 8)
    response, trained = pad_responses([[9] * 3] * 8, 8, 4, EOS)
    grid = torch.tensor([[1, 4, 4]] * 8)
    batch = Batch(prompt, pixels.reshape(-1, 1176), grid, response, trained, findings)
    optimiser = torch.optim.Adam([*model.parameters(), *objective.own.parameters()], 3e-3)
    metrics: dict[str, float] = {}
    for step in range(40):
        loss, metrics = loss_and_metrics(objective, batch, Noise(0, step))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert metrics["halfway_accuracy"] > 0.9
    assert set(model.state_dict()) == names


def test_an_example_s_noise_is_the_same_in_any_part_of_a_batch_and_beside_any_longer_one() -> None:
    model = make_model(4)
    long, trained = pad_responses([[9] * 5, [9] * 30, [9] * 3], 8, 4, EOS)
    whole = add_noise(model, 8, long, trained, 0.1, Noise(1, 2))
    short, short_trained = pad_responses([[9] * 3], 8, 4, EOS)
    alone = add_noise(model, 8, short, short_trained, 0.1, Noise(1, 2).advanced_by(2))
    assert torch.equal(alone.noisy_NR[0], whole.noisy_NR[2, : short.shape[1]])
    assert torch.equal(alone.level_NR[0], whole.level_NR[2, : short.shape[1]])
    assert whole.scored_NR.any()
    assert not torch.equal(whole.level_NR, add_noise(model, 8, long, trained, 0.1, Noise(1, 3)).level_NR)
