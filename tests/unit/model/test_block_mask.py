"""The attention rule, against its definition word by word."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from echo_node.model.block_mask import block_causal, rad_layout


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
@given(st.integers(1, 20), st.integers(1, 5), st.integers(1, 8))
def test_rad_layout_follows_the_visibility_rule(prompt: int, blocks: int, block: int) -> None:
    response = blocks * block + (-prompt) % block
    layout = rad_layout(prompt, response, block)
    start = prompt // block * block
    assert len(layout.position_S) == prompt + 2 * response + prompt % block
    assert layout.noisy_start == start
    size = len(layout.position_S)
    for query in range(0, size, 3):
        for key in range(size):
            query_block, key_block = (
                int(layout.position_S[query]) // block,
                int(layout.position_S[key]) // block,
            )
            query_noisy, key_noisy = query >= prompt + response, key >= prompt + response
            allowed = (
                (not query_noisy and not key_noisy and query_block >= key_block)
                or (query_noisy and not key_noisy and query_block > key_block)
                or (query_noisy and key_noisy and query_block == key_block)
            )
            assert bool(layout.mask_SS[query, key]) == allowed


def test_a_response_that_ends_inside_a_block_is_refused() -> None:
    with pytest.raises(ValueError, match="whole blocks"):
        rad_layout(5, 6, 8)
