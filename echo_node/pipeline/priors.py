"""Search for priors while the model writes. No draft depends on its answer.

Each query runs in its own thread. A draft waits for the rest of the answer when its text is ready,
and never longer than the limit. After a failure, drafts do not wait at all until the archive
answers in time again. A dead archive therefore costs the queue one limit, not one for each study.
This is one of the places with a broad `except`: after any failure, the draft states that the search
failed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from echo_node.domain.drafts.comparison import Comparison
from echo_node.domain.drafts.prior import why_not_asked
from echo_node.domain.drafts.subject import Subject
from echo_node.domain.ports import Clock, PriorFinder
from echo_node.domain.work.job import DraftJob
from echo_node.errors import EchoNodeError

log = structlog.get_logger()

_MOST_QUESTIONS = 4
"""Maximum number of open queries, so that a hanging archive does not accumulate threads."""

_NO_ANSWER = "it cannot be reached, or does not answer"
_TOO_LATE = "it did not answer in time"
_BUSY = "it has not answered earlier questions yet"


class PriorSearch:
    """Searches for the priors of studies that are being drafted.

    Args:
        finder: queries the archive.
        clock: source of time.
        time_limit_s: longest wait of a draft for the answer, in seconds from the query.
    """

    def __init__(self, finder: PriorFinder, clock: Clock, time_limit_s: float) -> None:
        self._finder = finder
        self._clock = clock
        self._limit = timedelta(seconds=time_limit_s)
        self._open = threading.BoundedSemaphore(_MOST_QUESTIONS)
        self._answers_in_time = True

    def begin(self, job: DraftJob, subject: Subject) -> Callable[[], Comparison]:
        """Start the search; return a function that waits for its result, to be called once."""
        asked_at = self._clock.now()
        if obstacle := why_not_asked(subject):
            return lambda: self._without(job, obstacle, asked_at)
        if not self._open.acquire(blocking=False):
            return lambda: self._without(job, _BUSY, asked_at)
        question = _Question(lambda: self._ask(subject, job, asked_at))
        return lambda: self._answer(question, job, asked_at)

    def _ask(self, subject: Subject, job: DraftJob, asked_at: datetime) -> Comparison | None:
        """Return the result, or None after a failure. May outlast its draft in its thread."""
        found = None
        try:
            found = self._finder.find(subject, job.study_instance_uid)
        except EchoNodeError as error:
            log.warning("archive_failed", study_id=job.study_id, reason=str(error))
        except Exception:
            log.exception("prior_lookup_failed", study_id=job.study_id)
        finally:
            self._answers_in_time = found is not None and self._clock.now() - asked_at <= self._limit
            self._open.release()
        return found

    def _answer(self, question: _Question, job: DraftJob, asked_at: datetime) -> Comparison:
        left = self._limit - (self._clock.now() - asked_at)
        patience = min(max(left, timedelta(0)), self._limit)  # the clock may have been changed
        if not question.wait(patience.total_seconds() if self._answers_in_time else 0.0):
            self._answers_in_time = False
            return self._without(job, _TOO_LATE, asked_at)
        if question.answer is None:
            return self._without(job, _NO_ANSWER, asked_at)
        self._say(job, question.answer, asked_at)
        return question.answer

    def _without(self, job: DraftJob, obstacle: str, asked_at: datetime) -> Comparison:
        comparison = Comparison(self._finder.archive, self._finder.within_years, obstacle=obstacle)
        self._say(job, comparison, asked_at)
        return comparison

    def _say(self, job: DraftJob, comparison: Comparison, asked_at: datetime) -> None:
        log.info(
            "priors_looked_up",
            study_id=job.study_id,
            outcome=comparison.outcome,
            reason=comparison.obstacle or None,
            seconds=round((self._clock.now() - asked_at).total_seconds(), 3),
        )


class _Question:
    """A query in its own thread, which ends with the process."""

    def __init__(self, ask: Callable[[], Comparison | None]) -> None:
        self.answer: Comparison | None = None
        self._ask = ask
        self._answered = threading.Event()
        threading.Thread(target=self._run, name="priors", daemon=True).start()

    def wait(self, seconds: float) -> bool:
        """Wait for the answer; return whether it is there."""
        return self._answered.wait(seconds)

    def _run(self) -> None:
        self.answer = self._ask()
        self._answered.set()
