"""Whatever comes in whatever order: no illegal state, no lost study, one document a revision."""

import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import select
from support.house import LEASE_S, House
from support.studies import SentInstance, digest, received

from echo_node.domain.ports import DeliveryOutcome
from echo_node.domain.studies.intake import StoreOutcome
from echo_node.domain.work.hold import Decision
from echo_node.domain.work.job import DeliveryJob, DraftJob
from echo_node.domain.work.kinds import DELIVERY, JOB
from echo_node.domain.work.lifecycle import StudyState
from echo_node.domain.work.withdrawal import IdentityConflict, WithdrawalReason
from echo_node.errors import LeaseLost, PermanentError
from echo_node.storage.database.engine import Database
from echo_node.storage.database.tables import Instance, SetAsideInstance

_STUDIES = st.integers(1, 2)


class DurablePath(RuleBasedStateMachine):
    """Senders, workers, operators and lost processes, in any order; a claim may be held forever."""

    new_database: Callable[[], Database]

    @initialize()
    def open(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.house = House(self.new_database(), Path(self.folder.name))
        self.jobs: list[DraftJob] = []
        self.sends: list[DeliveryJob] = []
        self.sent = 0
        self.accepted: set[str] = set()

    def teardown(self) -> None:
        if hasattr(self, "house"):
            self.house.database.close()
            self.folder.cleanup()

    @rule(study=_STUDIES, number=st.integers(1, 3))
    def arrive(self, study: int, number: int) -> None:
        self._arrive(received(10 * study + number, study=study))

    @rule(
        study=_STUDIES,
        other=_STUDIES,
        number=st.integers(1, 2),
        content=st.sampled_from([b"another patient", b"a third patient"]),
        calling=st.sampled_from(["MODALITY", "REPLACES"]),
    )
    def arrive_with_other_content(
        self, study: int, other: int, number: int, content: bytes, calling: str
    ) -> None:
        """An object arrives under the UID of an image of *study*, and names the study *other*."""
        self._arrive(received(10 * study + number, study=other, content=content, calling=calling))

    def _arrive(self, instance: SentInstance) -> None:
        if self.house.arrive(instance) is not StoreOutcome.DUPLICATE:
            self.accepted.add(digest(instance))

    @rule(seconds=st.sampled_from([1.0, 61.0, LEASE_S + 1]))
    def wait(self, seconds: float) -> None:
        self.house.clock.move(seconds)

    @rule()
    def sweep(self) -> None:
        self.house.studies.complete_due()
        self.house.jobs.rescue()
        self.house.deliveries.rescue()
        self.house.withdrawals.rescue()

    @rule()
    def claim(self) -> None:
        if job := self.house.jobs.claim(f"worker-{len(self.jobs)}"):
            self.jobs.append(job)

    @rule(
        which=st.integers(0, 5),
        ending=st.sampled_from(["draft", "hold", "retry", "dead_letter", "skip", "release_claim", "renew"]),
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
            elif ending == "hold":
                self._hold(job)
            elif ending == "retry":
                jobs.retry(job, "busy", self.house.clock.now())
            elif ending in {"dead_letter", "skip"}:
                getattr(jobs, ending)(job, "a reason")
            else:
                getattr(jobs, ending)(job)
        except LeaseLost:
            return

    def _hold(self, job: DraftJob) -> None:
        """End a job as a check does that finds a contradiction in everything that differs."""
        with self.house.drafts.open(job) as study:
            newer = [each.instance.data_set_sha256 for each in study.set_aside]
            older = [each.data_set_sha256 for each in study.instances]
        conflict = IdentityConflict(
            WithdrawalReason.PATIENT_SAFETY,
            "the patient ID differs",
            ("PatientID",),
            newer=tuple(newer or older[1:]),
            older=tuple([*older, *newer[:-1]] if newer else older[:1]),
        )
        self.house.drafts.finish(job, conflict)

    @rule(study=_STUDIES, decision=st.sampled_from(Decision))
    def resolve(self, study: int, decision: Decision) -> None:
        held = {row["study_id"]: row["hold"] for row in self.house.queries.held_studies()}
        if study not in held or (decision is Decision.REPLACE and not held[study]["can_replace"]):
            with pytest.raises(PermanentError):
                self.house.resolutions.resolve(study, decision, "operator")
            return
        revision = self.house.resolutions.resolve(study, decision, "operator")
        story = self.house.queries.show(study)
        assert (story["state"], story["revision"]) == (StudyState.QUEUED, revision)

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
                self.house.deliveries.dead_letter(job, "refused")
        except LeaseLost:
            return

    @rule()
    def release(self) -> None:
        queries = self.house.queries
        for job in queries.list_work(JOB):
            if job["state"] == "dead":
                self.house.jobs.release(job["job_id"])
        for delivery in queries.list_work(DELIVERY):
            if delivery["state"] == "dead":
                self.house.deliveries.release(delivery["delivery_id"])

    @rule(study=_STUDIES)
    def retract(self, study: int) -> None:
        if self._is_known(study):
            self.house.withdrawals.withdraw(study, WithdrawalReason.QUALITY, "operator")

    @rule(study=_STUDIES)
    def redraft(self, study: int) -> None:
        if self._is_known(study):
            with suppress(PermanentError):
                self.house.withdrawals.redraft(study)

    @rule()
    def make_notes(self) -> None:
        self.house.notes()

    def _is_known(self, study_id: int) -> bool:
        return study_id in {row["study_id"] for row in self.house.queries.recent_studies()}

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
                StudyState.HELD: ["skipped"],
                StudyState.FAILED: ["dead"],
            }.get(StudyState(story["state"]), ["done"])
            is_withdrawn = story["state"] in {StudyState.WITHDRAWING, StudyState.WITHDRAWN}
            if is_withdrawn:
                assert not {"ready", "running", "dead"} & set(current)
            else:
                assert current == expected
            self._holds_hold(story)
            self._withdrawals_hold(story)
            drafts = [document for document in story["documents"] if not document["is_note"]]
            notes = {document["document_id"] for document in story["documents"] if document["is_note"]}
            story["documents"] = drafts
            story["deliveries"] = [row for row in story["deliveries"] if row["document_id"] not in notes]
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

    @invariant()
    def every_accepted_object_is_kept_or_set_aside(self) -> None:
        if not hasattr(self, "house"):
            return
        with self.house.database.read() as session:
            kept = session.scalars(select(Instance.data_set_sha256)).all()
            aside = session.scalars(select(SetAsideInstance.data_set_sha256)).all()
        assert sorted([*kept, *aside]) == sorted(self.accepted)

    def _holds_hold(self, story: dict[str, Any]) -> None:
        """A held study has one open hold, and one that is drafted has none."""
        open_holds = [row for row in story["holds"] if row["ending"] is None]
        assert len(open_holds) <= 1
        if story["state"] == StudyState.HELD:
            assert len(open_holds) == 1
        elif open_holds:
            assert story["state"] in {StudyState.WITHDRAWING, StudyState.WITHDRAWN}

    def _withdrawals_hold(self, story: dict[str, Any]) -> None:
        """No withdrawn draft waits to be sent; each sent draft has one note once notes are made."""
        documents = {row["document_id"]: row for row in story["documents"]}
        told = Counter(
            (uid, row["destination"])
            for row in story["deliveries"]
            for uid in documents[row["document_id"]]["input_sop_instance_uids"]
            if documents[row["document_id"]]["is_note"]
        )
        prepared = [row["revision"] for row in story["withdrawals"] if row["state"] == "prepared"]
        for row in story["deliveries"]:
            document = documents[row["document_id"]]
            if document["is_withdrawn"]:
                assert row["state"] not in {"pending", "dead"}
                covered = min(
                    each["revision"]
                    for each in story["withdrawals"]
                    if each["revision"] >= document["revision"]
                )
                expected = 1 if covered in prepared and row["attempt"] else 0
                assert told[document["sop_instance_uid"], row["destination"]] == expected
        if story["state"] == StudyState.WITHDRAWN:
            notes = [row for row in story["deliveries"] if documents[row["document_id"]]["is_note"]]
            assert {row["state"] for row in notes} <= {"delivered"}


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
