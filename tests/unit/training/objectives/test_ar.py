"""AR stage: it fits what next-token decoding writes, and RAD can start from its result."""

from pathlib import Path

import pytest
import torch
from support.one_update import loss_and_metrics
from support.small_checkpoint import write_checkpoint
from support.small_model import EOS, make_model, prompt_inputs

from echo_node.errors import CheckpointError
from echo_node.model import checkpoint
from echo_node.model.config import MASK_TOKEN
from echo_node.model.decoding.canvas import DecodeSettings
from echo_node.model.decoding.decoder import decode
from training.examples.collate import Batch, pad_responses
from training.objectives.ar import ArObjective, up_to_eos

TEXTS = [[9, 12, 9, 30], [22, 8, 17, 12, 33, 9, 9]]


def _batch() -> Batch:
    prompts, pixels = prompt_inputs(3, 2, seed=1)
    response, trained = pad_responses(TEXTS, prompts.shape[1], 8, EOS)
    return Batch(prompts, pixels, torch.tensor([[1, 4, 4]] * 2), response, trained, torch.empty(2, 0))


def test_what_was_fitted_is_what_next_token_decoding_writes() -> None:
    model, batch = make_model(8), _batch()
    objective = ArObjective(model)
    optimiser = torch.optim.Adam(model.parameters(), 3e-3)
    metrics: dict[str, float] = {}
    for _ in range(60):
        loss, metrics = loss_and_metrics(objective, batch)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert metrics["accuracy"] == 1
    decoded = decode(model, batch.embed(model), DecodeSettings(0.0, 0, 20, "next_token"))
    assert [list(each.tokens) for each in decoded] == TEXTS


def test_a_token_is_predicted_from_earlier_ones_alone() -> None:
    model, batch = make_model(8), _batch()
    batch.trained_NR[:, 2:] = False
    before = loss_and_metrics(ArObjective(model), batch)[0]
    batch.response_NR[:, 2:] = 11
    torch.testing.assert_close(loss_and_metrics(ArObjective(model), batch)[0], before)
    batch.response_NR[:, 0] = 11
    assert loss_and_metrics(ArObjective(model), batch)[0] != before


def test_the_end_is_trained_and_nothing_behind_it() -> None:
    assert up_to_eos(torch.tensor([[9, EOS, EOS], [9, 9, 9]]), EOS).tolist() == [
        [True, True, False],
        [True, True, True],
    ]


@pytest.mark.parametrize("spare_row", [True, False])
def test_a_vocabulary_without_a_mask_gets_one_that_means_nothing_yet(
    tmp_path: Path, *, spare_row: bool
) -> None:
    folder = write_checkpoint(tmp_path / "ar")
    tokens = len(checkpoint.load(str(folder)).tokenizer)
    _forget_the_mask(folder, rows=tokens + 8 * spare_row)
    with pytest.raises(CheckpointError, match="RAD can adapt"):
        checkpoint.load(str(folder))
    adopted = checkpoint.load(str(folder), adopt_block_length=4)
    words = len(adopted.tokenizer) - 1
    assert adopted.tokenizer.convert_tokens_to_ids(MASK_TOKEN) == words == adopted.model.config.mask
    assert adopted.model.config.block_length == 4
    table = adopted.model.get_input_embeddings().weight
    assert isinstance(table, torch.Tensor)
    torch.testing.assert_close(table[words], table[:words].mean(0))
    assert words == tokens
    assert len(adopted.model.lm_head.weight) == len(table) == tokens + (8 if spare_row else 1)


def _forget_the_mask(folder: Path, rows: int) -> None:
    """Turn a checkpoint into an autoregressive model with *rows* rows of embeddings."""
    model = checkpoint.load(str(folder)).model
    model.resize_token_embeddings(rows)
    model.config.mask_token_id = None
    model.config.block_length = 0
    model.save_pretrained(folder)
    for path in folder.glob("token*.json"):
        path.write_text(path.read_text().replace(MASK_TOKEN, "<|other|>"))
