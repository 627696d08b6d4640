"""Attention rule, compared with its definition."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.small_model import make_model, make_prompt
from torch.nn.attention.flex_attention import create_block_mask, create_mask, flex_attention
from transformers.integrations import flex_attention as integration

from echo_node.model.block_mask import Elements, block_causal, mask_mod, rad_layout, visible


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(1, 9))
def test_block_causal_sees_its_own_block_and_all_before(length: int, block: int) -> None:
    mask = block_causal(length, block)
    for query in range(length):
        for key in range(length):
            assert bool(mask[query, key]) == (key // block <= query // block)


def test_block_length_one_is_the_causal_mask() -> None:
    assert torch.equal(block_causal(12, 1), torch.ones(12, 12).tril().bool())


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 20), st.integers(1, 5), st.integers(1, 8), st.integers(1, 3))
def test_rad_layout_follows_the_visibility_rule(prompt: int, blocks: int, block: int, copies: int) -> None:
    response = blocks * block + (-prompt) % block
    layout = rad_layout(prompt, response, block, copies=copies)
    start, of_a_copy = prompt // block * block, response + prompt % block
    assert len(layout.position_S) == prompt + response + copies * of_a_copy
    assert layout.noisy_start == start
    size = len(layout.position_S)
    for query in range(0, size, 3):
        for key in range(size):
            query_block, key_block = (
                int(layout.position_S[query]) // block,
                int(layout.position_S[key]) // block,
            )
            query_noisy, key_noisy = query >= prompt + response, key >= prompt + response
            same_copy = (query - prompt - response) // of_a_copy == (key - prompt - response) // of_a_copy
            allowed = (
                (not query_noisy and not key_noisy and query_block >= key_block)
                or (query_noisy and not key_noisy and query_block > key_block)
                or (query_noisy and key_noisy and same_copy and query_block == key_block)
            )
            assert bool(layout.mask_SS[query, key]) == allowed


def test_a_response_that_ends_inside_a_block_is_refused() -> None:
    with pytest.raises(ValueError, match="whole blocks"):
        rad_layout(5, 6, 8)


def _packed() -> Elements:
    """Two rows of two documents each, clean and noisy elements in each, filled up with a third."""
    block = torch.tensor([[0, 0, 1, 1, 1, 1, 0, 1, 1, 0], [0, 1, 2, 1, 2, 0, 0, 0, 0, 0]])
    stream = torch.tensor([[0, 0, 0, 0, 1, 1, 0, 0, 1, 0], [0, 0, 0, 1, 2, 0, 0, 1, 1, 0]])
    document = torch.tensor([[0, 0, 0, 0, 0, 0, 1, 1, 1, -1], [2, 2, 2, 2, 2, 3, 3, 3, 3, -1]])
    return Elements(block, stream, document)


def test_documents_of_one_row_do_not_see_each_other() -> None:
    elements = _packed()
    assert elements.document is not None
    mask = visible(elements, elements)
    for row in range(2):
        for document in elements.document[row].unique():
            inside = elements.document[row] == document
            alone = Elements(elements.block[row][inside], elements.stream[row][inside])
            assert torch.equal(mask[row][inside][:, inside], visible(alone, alone))
            assert not mask[row][inside][:, ~inside].any()
    assert mask.any(-1).all()  # an element that saw nothing would make the softmax of nothing


@pytest.mark.parametrize("rows", [True, False])
def test_flex_attention_s_rule_is_the_same_rule(*, rows: bool) -> None:
    elements = _packed() if rows else _packed()[0]
    asked = create_mask(mask_mod(elements), 2 if rows else 1, 1, 10, 10, device="cpu")
    torch.testing.assert_close(asked[:, 0], visible(elements, elements).reshape(-1, 10, 10))


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
def test_the_network_computes_a_block_mask_as_it_does_a_boolean_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = make_model(4)
    prompt = make_prompt(model, 4)
    layout = rad_layout(prompt.length, 10, 4)
    embeds = torch.cat([prompt.embeds_NPD, model.embed_response(torch.full((2, 22), 9))], 1)
    positions = prompt.position_ids(layout.position_S)
    elements = Elements(layout.position_S // 4, layout.stream_S)
    size = len(layout.position_S)
    block_mask = create_block_mask(mask_mod(elements), None, None, size, size, device="cpu")
    # Compiling a kernel takes longer than all other tests; the uncompiled one computes the same.
    monkeypatch.setattr(integration, "compile_friendly_flex_attention", _uncompiled)
    with torch.no_grad():
        dense = model.hidden_states(embeds, positions, layout.mask_SS)
        sparse = model.hidden_states(embeds, positions, block_mask)
        again = model.hidden_states(embeds, positions, layout.mask_SS)
    torch.testing.assert_close(sparse, dense, atol=1e-4, rtol=1e-4)
    assert torch.equal(again, dense)


def _uncompiled(*tensors: torch.Tensor, training: bool, **options: object) -> object:
    kernel: Callable[..., object] = flex_attention
    return kernel(*tensors, **options)
