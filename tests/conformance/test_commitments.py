"""Storage commitment's promises, the same on every database."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support.house import LEASE_S, TRIES, House
from support.studies import received

from echo_node.domain.ports import DeliveryOutcome
from echo_node.domain.work.commitment import CommitmentJob, CommitmentReport, ReferencedInstance
from echo_node.domain.work.lifecycle import StudyState
from echo_node.domain.work.retry import RetryPolicy
from echo_node.errors import LeaseLost, PermanentError
from echo_node.settings import RetentionSettings
from echo_node.storage.database.engine import Database
from echo_node.storage.objects.spool import Spool
from echo_node.storage.operations.retention import Retention
from echo_node.storage.queues.commitment_questions import Peers
from echo_node.storage.queues.commitments import CommitmentQueue
from echo_node.storage.queues.deliveries import DeliveryQueue

PATIENCE_S, LONGEST_DELAY_S = 1000.0, 100.0
DRAFT = ReferencedInstance("1.2.840.10008.5.1.4.1.1.88.11", "1.2.3.1.77.1")


class Committing(House):
    """A house whose PACS is asked for storage commitment."""

    def __init__(self, database: Database, folder: Path) -> None:
        super().__init__(database, folder)
        numbers = itertools.count(1)
        self.deliveries = DeliveryQueue(self.context, self.outbox, committing=("PACS",))
        self.commitments = CommitmentQueue(
            replace(self.context, policy=RetryPolicy(TRIES, 10.0, LONGEST_DELAY_S)),
            Peers({"PACS": "ORTHANC"}, PATIENCE_S, lambda: f"2.25.{next(numbers)}"),
        )

    def delivered(self) -> "Committing":
        self.drafted()
        self.deliver()
        return self

    def deliver(self) -> None:
        self.deliveries.finish(self.claim_delivery(), DeliveryOutcome.SUCCESS, 0)

    def claim_commitment(self) -> CommitmentJob:
        job = self.commitments.claim("asker")
        assert job is not None
        return job

    def states(self) -> list[tuple[str, str]]:
        """Return the states of the study's deliveries and commitments."""
        record = self.queries.show(1)
        return [(kind, row["state"]) for kind in ("deliveries", "commitments") for row in record[kind]]


@pytest.fixture
def house(database: Database, tmp_path: Path) -> Committing:
    return Committing(database, tmp_path)


def _yes(job: CommitmentJob) -> CommitmentReport:
    return CommitmentReport(job.transaction_uid, frozenset(job.instances), {})


def _no(job: CommitmentJob) -> CommitmentReport:
    return CommitmentReport(job.transaction_uid, frozenset(), {job.instances[0].sop_instance_uid: 0x0112})


def test_what_was_delivered_is_asked_for_once(house: Committing) -> None:
    house.drafted()
    assert house.commitments.claim("asker") is None
    house.deliver()
    job = house.claim_commitment()
    assert (job.destination, job.instances) == ("PACS", (DRAFT,))
    assert house.commitments.claim("another") is None
    house.commitments.asked(job)
    assert house.commitments.claim("another") is None
    assert house.commitments.report(_yes(job), "ORTHANC")
    assert house.states() == [("deliveries", "delivered"), ("commitments", "committed")]
    assert not house.commitments.report(_yes(job), "ORTHANC")  # answered for already


def test_a_destination_that_is_not_asked_gets_no_question(database: Database, tmp_path: Path) -> None:
    house = House(database, tmp_path)
    house.drafted()
    house.deliveries.finish(house.claim_delivery(), DeliveryOutcome.SUCCESS, 0)
    assert house.queries.overview().work["commitments"] == {}


def test_an_answer_may_come_before_the_question_is_recorded(house: Committing) -> None:
    job = house.delivered().claim_commitment()
    assert house.commitments.report(_yes(job), "ORTHANC")
    house.commitments.asked(job)
    assert house.states()[1] == ("commitments", "committed")


def test_only_the_one_who_was_asked_may_answer(house: Committing) -> None:
    job = house.delivered().claim_commitment()
    house.commitments.asked(job)
    assert not house.commitments.report(_yes(job), "STRANGER")
    assert not house.commitments.report(CommitmentReport("2.25.99", frozenset(), {}), "ORTHANC")
    assert house.states()[1] == ("commitments", "asked")


def test_an_answer_about_something_else_leaves_the_question_open(house: Committing) -> None:
    job = house.delivered().claim_commitment()
    house.commitments.asked(job)
    for other in (
        ReferencedInstance(DRAFT.sop_class_uid, "1.9"),
        ReferencedInstance("1.9", DRAFT.sop_instance_uid),
    ):
        house.commitments.report(CommitmentReport(job.transaction_uid, frozenset({other}), {}), "ORTHANC")
        assert house.states()[1] == ("commitments", "asked")


def test_no_answer_means_another_question_and_in_the_end_a_dead_letter(house: Committing) -> None:
    house.delivered()
    asked = []
    for _ in range(TRIES):
        job = house.claim_commitment()
        asked.append(job.transaction_uid)
        house.commitments.asked(job)
        house.clock.move(PATIENCE_S - 1)
        assert house.commitments.rescue() == 0
        house.clock.move(1)
        assert house.commitments.rescue() == 1
        assert house.commitments.claim("asker") is None  # not at once
        house.clock.move(LONGEST_DELAY_S)
    assert len(set(asked)) == TRIES
    assert house.states()[1] == ("commitments", "dead")
    assert house.state() is StudyState.DELIVERED
    house.commitments.release(house.queries.show(1)["commitments"][0]["commitment_id"])
    assert house.commitments.report(_yes(house.claim_commitment()), "ORTHANC")


def test_a_late_answer_to_an_earlier_question_does_not_count(house: Committing) -> None:
    first = house.delivered().claim_commitment()
    house.commitments.asked(first)
    house.clock.move(PATIENCE_S)
    house.commitments.rescue()
    house.clock.move(LONGEST_DELAY_S)
    second = house.claim_commitment()
    assert not house.commitments.report(_yes(first), "ORTHANC")
    assert house.commitments.report(_yes(second), "ORTHANC")


def test_what_is_not_answered_for_is_sent_again_and_asked_for_again(house: Committing) -> None:
    job = house.delivered().claim_commitment()
    house.commitments.asked(job)
    assert house.commitments.report(_no(job), "ORTHANC")
    assert house.state() is StudyState.DRAFTED
    assert house.states() == [("deliveries", "pending")]
    assert "0x0112" in house.queries.show(1)["deliveries"][0]["reason"]
    assert house.deliveries.claim("sender") is None  # not at once
    house.clock.move(100)
    house.deliver()
    assert house.state() is StudyState.DELIVERED
    assert house.commitments.report(_yes(house.claim_commitment()), "ORTHANC")


def test_who_never_answers_for_it_is_given_up(house: Committing) -> None:
    house.delivered()
    for _ in range(TRIES - 1):
        house.commitments.report(_no(house.claim_commitment()), "ORTHANC")
        house.clock.move(100)
        house.deliver()
    house.commitments.report(_no(house.claim_commitment()), "ORTHANC")
    assert house.state() is StudyState.UNDELIVERED
    assert house.states() == [("deliveries", "dead")]
    house.deliveries.release(house.queries.show(1)["deliveries"][0]["delivery_id"])
    house.deliver()
    assert house.state() is StudyState.DELIVERED


def test_a_new_revision_is_not_disturbed_by_an_answer_about_the_old(house: Committing) -> None:
    job = house.delivered().claim_commitment()
    house.arrive(received(2))
    house.commitments.report(_no(job), "ORTHANC")
    assert (house.state(), house.revision()) == (StudyState.RECEIVING, 2)


def test_a_lost_asker_loses_its_claim(house: Committing) -> None:
    lost = house.delivered().claim_commitment()
    house.clock.move(LEASE_S + 1)
    assert house.commitments.rescue() == 1
    again = house.claim_commitment()
    endings: tuple[Callable[[], object], ...] = (
        lambda: house.commitments.asked(lost),
        lambda: house.commitments.renew(lost),
        lambda: house.commitments.retry(lost, "x", house.clock.now()),
        lambda: house.commitments.release_claim(lost),
        lambda: house.commitments.dead_letter(lost, "x"),
    )
    for ending in endings:
        with pytest.raises(LeaseLost):
            ending()
    house.commitments.renew(again)
    house.commitments.release_claim(again)
    house.commitments.reclaim_from("nobody")
    assert house.claim_commitment().lease.tries == again.lease.tries


def test_releasing_what_is_no_dead_letter_says_so(house: Committing) -> None:
    house.delivered()
    with pytest.raises(PermanentError, match="not a dead letter"):
        house.commitments.release(1)


def test_images_stay_until_their_draft_is_committed_to(house: Committing, tmp_path: Path) -> None:
    job = house.delivered().claim_commitment()
    retention = Retention(
        house.database,
        Spool(house.objects, 0),
        house.clock,
        RetentionSettings(keep_days=1),
        tmp_path,
        house.ownership,
    )
    house.clock.move(10 * 86_400)
    assert retention() == 0
    house.commitments.report(_yes(job), "ORTHANC")
    assert retention() == 1
