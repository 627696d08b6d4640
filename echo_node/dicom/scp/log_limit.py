"""Limit of log lines that a peer can cause: one a minute for each address and reason."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

PERIOD_S = 60.0
_MOST_OF_ADDRESS = 20
_MOST = 2000

Subject = tuple[str, ...]
"""Event and address, then what else tells one line from another."""


@dataclass(slots=True)
class _Open:
    """A line that was written, whose repetitions are counted.

    Attributes:
        until: time at which they are written.
        count: number of them.
        write: writes a line for a number of occurrences.
    """

    until: float
    count: int
    write: Callable[[int], None]


class LogLimit:
    """Writes the first of equal lines at once, and after a minute the number of the others.

    An address that causes too many different lines shares one for each event. So do all addresses
    together if they are too many.

    Args:
        now: monotonic clock, in seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._open: dict[Subject, _Open] = {}
        self._of_address: Counter[Subject] = Counter()
        self._lock = threading.Lock()

    def write(self, subject: Subject, write: Callable[[int], None]) -> None:
        """Write a line, or count it.

        Args:
            subject: event, address, and what else the line is about.
            write: writes the line, given the number of occurrences.
        """
        self.flush(self._now())
        with self._lock:
            subject = self._bounded(subject)
            known = self._open.get(subject)
            if known is not None:
                known.count, known.write = known.count + 1, write
                return
            self._open[subject] = _Open(self._now() + PERIOD_S, 0, write)
            self._of_address[subject[:2]] += 1
        write(1)

    def flush(self, until: float | None = None) -> None:
        """Write the numbers of lines whose minute is over, or of all."""
        over: list[_Open] = []
        with self._lock:
            while self._open:
                subject, first = next(iter(self._open.items()))
                if until is not None and first.until > until:
                    break
                over.append(self._open.pop(subject))
                self._of_address[subject[:2]] -= 1
            self._of_address += Counter()  # drops those at zero
        for each in over:
            if each.count:
                each.write(each.count)

    def flush_due(self) -> None:
        """Write the numbers of lines whose minute is over."""
        self.flush(self._now())

    def _bounded(self, subject: Subject) -> Subject:
        if subject in self._open:
            return subject
        if self._of_address[subject[:2]] >= _MOST_OF_ADDRESS:
            subject = subject[:2]
        if subject not in self._open and len(self._open) >= _MOST:
            subject = subject[:1]
        return subject
