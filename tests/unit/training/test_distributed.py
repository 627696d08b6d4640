"""Distribution of rows to processes."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from echo_node.errors import ConfigError
from training.distributed import Distributed, join_processes
from training.loop.validation import Patience
from training.recipe import ValidationRecipe


def _process(rank: int, size: int) -> Distributed:
    return Distributed(rank, size, torch.device("cpu"))


@given(st.integers(1, 6), st.integers(1, 5), st.integers(0, 7))
def test_every_row_is_computed_once_and_all_have_as_many_parts(size: int, share: int, micro: int) -> None:
    dealt = [_process(rank, size).rows(size * share, micro) for rank in range(size)]
    assert sorted(row for parts in dealt for part in parts for row in part) == list(range(size * share))
    assert len({len(parts) for parts in dealt}) == 1
    assert all(len(part) <= (micro or share) for parts in dealt for part in parts)


def test_parts_are_dealt_out_to_and_fro_so_that_nobody_gets_all_the_long_reports() -> None:
    assert _process(0, 2).rows(32, 8) == [range(8), range(24, 32)]
    assert _process(1, 2).rows(32, 8) == [range(8, 16), range(16, 24)]


def test_a_batch_that_cannot_be_dealt_out_is_refused() -> None:
    with pytest.raises(ConfigError, match="divided evenly"):
        _process(0, 3).rows(32, 0)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match="no GPU"), join_processes("cuda"):
        pass


def test_patience_counts_validations_since_the_best() -> None:
    patience, recipe = Patience(), ValidationRecipe(count=1, seed=1, patience=2)
    assert [patience.see(loss, recipe) for loss in (3.0, 2.0, 2.5)] == [True, True, False]
    before = patience.stopped
    patience.see(2.0, recipe)  # as good as the best is not better
    assert (before, patience.stopped) == (False, True)
    assert patience.best == 2.0
