"""Leases: claims of workers on rows, which expire unless they are renewed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Lease:
    """Claim of a worker on one row, until `expires_at`.

    Attributes:
        row_id: surrogate id of the job or delivery.
        attempt: number of all claims on the row so far; it fences off earlier holders.
        tries: number of claims since the row was created or last released by an operator.
        holder: name of the worker.
        expires_at: time at which other workers may claim the row, unless the lease is renewed.
    """

    row_id: int
    attempt: int
    tries: int
    holder: str
    expires_at: datetime
