"""Retries: how often, and after what delay."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential backoff with equal jitter and a cap.

    Attributes:
        attempts: number of tries before a work item becomes a dead letter.
        first_delay_s: longest delay after the first failure, in seconds; doubles with each failure.
        longest_delay_s: cap of the delay, in seconds.
    """

    attempts: int
    first_delay_s: float
    longest_delay_s: float

    def is_exhausted(self, attempt: int) -> bool:
        """Return whether *attempt* (the first is 1) was the last."""
        return attempt >= self.attempts

    def delay(self, attempt: int, randomness: random.Random) -> timedelta:
        """Return the delay after the failure of *attempt*: between half and all of the backoff."""
        longest = min(self.longest_delay_s, self.first_delay_s * 2.0 ** min(attempt - 1, 60))
        return timedelta(seconds=randomness.uniform(longest / 2, longest))
