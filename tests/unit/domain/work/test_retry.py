import random

from hypothesis import given
from hypothesis import strategies as st

from echo_node.domain.work.retry import RetryPolicy


@given(st.integers(1, 10_000), st.floats(0.1, 100), st.floats(0.1, 10_000), st.integers())
def test_the_wait_is_between_half_and_all_of_the_back_off(
    attempt: int, first: float, longest: float, seed: int
) -> None:
    delay = RetryPolicy(5, first, longest).delay(attempt, random.Random(seed)).total_seconds()
    back_off = min(longest, first * 2.0 ** min(attempt - 1, 60))
    assert back_off / 2 - 1e-6 <= delay <= back_off + 1e-6


def test_the_last_attempt_is_the_last() -> None:
    policy = RetryPolicy(3, 1, 1)
    assert [policy.is_exhausted(attempt) for attempt in (1, 2, 3, 4)] == [False, False, True, True]
