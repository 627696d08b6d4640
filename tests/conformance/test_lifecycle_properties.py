"""Whatever comes in whatever order: no illegal state, no lost study, one document a revision."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from support.house import LEASE_S, House
from support.studies import received

from echo_node.domain.job import DeliveryJob, DraftJob
from echo_node.domain.lifecycle import StudyState
from echo_node.domain.ports import DeliveryOutcome
from echo_node.errors import LeaseLost
from echo_node.storage.engine import Database

_STUDIES = st.integers(1, 2)


class DurablePath(RuleBasedStateMachine):
    """Senders, workers, operators and lost processes, in any order; claims may be held for ever."""

    new_database: Callable[[], Database]

    @initialize()
    def open(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.house = House(self.new_database(), Path(self.folder.name))
        self.jobs: list[DraftJob] = []
        self.sends: list[DeliveryJob] = []
        self.sent = 0

    def teardown(self) -> None:
        if hasattr(self, "house"):
            self.house.database.close()
            self.folder.cleanup()

    @rule(study=_STUDIES, number=st.integers(1, 3))
    def arrive(self, study: int, number: int) -> None:
        self.house.arrive(received(10 * study + number, study=study))

    @rule(seconds=st.sampled_from([1.0, 61.0, LEASE_S + 1]))
    def wait(self, seconds: float) -> None:
        self.house.clock.move(seconds)

    @rule()
    def sweep(self) -> None:
        self.house.studies.complete_due()
        self.house.jobs.rescue()
        self.house.deliveries.rescue()

    @rule()
    def claim(self) -> None:
        if job := self.house.jobs.claim(f"worker-{len(self.jobs)}"):
            self.jobs.append(job)

    @rule(
        which=st.integers(0, 5),
        ending=st.sampled_from(["draft", "retry", "bury", "skip", "give_back", "renew"]),
    )
    def end_job(self, which: int, ending: str) -> None:
        if not self.jobs:
            return
        job = self.jobs[which % len(self.jobs)]  # perhaps one that was lost, or ended, long ago
        jobs = self.house.jobs
        try:
            if ending == "draft":
                chosen = received(job.revision, study=int(job.study_instance_uid.rpartition(".")[2]))
                self.house.draft(job, chosen)
            elif ending == "retry":
                jobs.retry(job, "busy", self.house.clock.now())
            elif ending in {"bury", "skip"}:
                getattr(jobs, ending)(job, "a reason")
            else:
                getattr(jobs, ending)(job)
        except LeaseLost:
            return

    @rule()
    def claim_delivery(self) -> None:
        if job := self.house.deliveries.claim(f"sender-{len(self.sends)}"):
            self.sends.append(job)

    @rule(which=st.integers(0, 5), delivered=st.booleans())
    def end_delivery(self, which: int, delivered: bool) -> None:
        if not self.sends:
            return
        job = self.sends[which % len(self.sends)]
        try:
            if delivered:
                self.house.deliveries.finish(job, DeliveryOutcome.SUCCESS, 0)
            else:
                self.house.deliveries.bury(job, "refused")
        except LeaseLost:
            return

    @rule()
    def release(self) -> None:
        queries = self.house.queries
        for job in queries.list_jobs():
            if job["state"] == "dead":
                self.house.jobs.release(job["job_id"])
        for delivery in queries.list_deliveries():
            if delivery["state"] == "dead":
                self.house.deliveries.release(delivery["delivery_id"])

    @invariant()
    def every_state_has_what_it_needs(self) -> None:
        if not hasattr(self, "house"):
            return
        for study in self.house.queries.recent_studies():
            story = self.house.queries.show(study["study_id"])
            current = [job["state"] for job in story["jobs"] if job["revision"] == story["revision"]]
            earlier = [job["state"] for job in story["jobs"] if job["revision"] < story["revision"]]
            expected = {
                StudyState.RECEIVING: [],
                StudyState.QUEUED: ["ready"],
                StudyState.DRAFTING: ["running"],
                StudyState.SKIPPED: ["skipped"],
                StudyState.FAILED: ["dead"],
            }.get(StudyState(story["state"]), ["done"])
            assert current == expected
            assert not {"ready", "running", "dead"} & set(earlier)
            revisions = [document["revision"] for document in story["documents"]]
            assert len(revisions) == len(set(revisions))
            assert len(story["deliveries"]) == len(story["documents"])
            latest = [
                delivery["state"]
                for delivery in story["deliveries"]
                if story["documents"] and delivery["document_id"] == story["documents"][-1]["document_id"]
            ]
            open_or_over = {
                StudyState.DRAFTED: {"pending", "sending"},
                StudyState.DELIVERED: {"delivered"},
                StudyState.UNDELIVERED: {"dead"},
            }.get(StudyState(story["state"]))
            assert open_or_over is None or set(latest) <= open_or_over


def test_any_order_of_events_keeps_the_promises(new_database: Callable[[], Database]) -> None:
    machine = type("Machine", (DurablePath,), {"new_database": staticmethod(new_database)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=12,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            derandomize=True,
        ),
    )
