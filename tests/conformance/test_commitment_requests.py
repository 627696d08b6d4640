"""Storage commitment for modalities, the same on every database."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Self

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from support.house import LEASE_S, TRIES, House
from support.studies import CR, received

from echo_node.domain.ports import DeliveryOutcome
from echo_node.domain.work.commitment import (
    COMMITTED,
    AnswerJob,
    CommitmentJob,
    CommitmentReport,
    CommitmentRequest,
    CommitmentRequestState,
    FailureReason,
    ReferencedInstance,
)
from echo_node.domain.work.kinds import ANSWERING, ASKING_ARCHIVE, COMMITMENT_REQUEST
from echo_node.domain.work.pausable import Pausable
from echo_node.domain.work.retry import RetryPolicy
from echo_node.errors import LeaseLost, PermanentError
from echo_node.settings import RetentionSettings
from echo_node.storage.database.engine import Database
from echo_node.storage.database.tables import ModalityRequest, RequestedInstance
from echo_node.storage.objects.local import LocalObjects
from echo_node.storage.objects.spool import Spool
from echo_node.storage.operations.backup import back_up, restore
from echo_node.storage.operations.retention import Retention
from echo_node.storage.queues.commitment_questions import Peers
from echo_node.storage.queues.commitment_requests import AnswerQueue, CommitmentRequestQueue
from echo_node.storage.queues.pauses import Pauses

PATIENCE_S, LONGEST_DELAY_S, DAY_S = 1000.0, 100.0, 86_400.0
DX = "1.2.840.10008.5.1.4.1.1.1.1"


def image(number: int, sop_class: str = CR) -> ReferencedInstance:
    """Return the name of the image that `received(number)` is."""
    return ReferencedInstance(sop_class, f"1.2.3.99.{number}")


def asks(*images: ReferencedInstance, uid: str = "1.7.1", calling: str = "MODALITY") -> CommitmentRequest:
    return CommitmentRequest(calling, "ECHO_NODE", uid, frozenset(images))


class Promising(House):
    """A house that asks the archive for modalities; three images of study 1 have come."""

    def __init__(self, database: Database, folder: Path) -> None:
        super().__init__(database, folder)
        self._numbers = itertools.count(1)
        self.ask_anew("archive")
        for number in (1, 2, 3):
            self.arrive(received(number))

    def ask_anew(self, archive: str) -> Self:
        """Start again with new objects, like a process that was killed or reconfigured."""
        context = replace(self.context, policy=RetryPolicy(TRIES, 10.0, LONGEST_DELAY_S))
        ae_titles = {archive: archive.upper()}
        peers = Peers(ae_titles, PATIENCE_S, lambda: f"2.25.{next(self._numbers)}")
        self.requests = CommitmentRequestQueue(context, peers)
        self.answers = AnswerQueue(context, ae_titles)
        return self

    def question(self) -> CommitmentJob:
        job = self.requests.claim("asker")
        assert job is not None
        return job

    def ask(self) -> CommitmentJob:
        """Ask the archive, which takes the question."""
        job = self.question()
        self.requests.asked(job)
        return job

    def answer(self) -> AnswerJob:
        job = self.answers.claim("answerer")
        assert job is not None
        return job

    def says(
        self, job: CommitmentJob, *committed: ReferencedInstance, failed: dict[str, int] | None = None
    ) -> bool:
        """Let the archive answer a question."""
        report = CommitmentReport(job.transaction_uid, frozenset(committed), failed or {})
        return self.requests.report(report, "ARCHIVE")

    def states(self) -> list[str]:
        with self.database.read() as session:
            return [
                str(state)
                for state in session.scalars(select(ModalityRequest.state).order_by(ModalityRequest.id))
            ]


@pytest.fixture
def house(database: Database, tmp_path: Path) -> Promising:
    return Promising(database, tmp_path)


def test_success_is_the_archives_word(house: Promising) -> None:
    assert house.requests.accept(asks(image(1), image(2)))
    assert house.answers.claim("answerer") is None
    job = house.question()
    assert (job.destination, set(job.instances)) == ("archive", {image(1), image(2)})
    assert house.requests.claim("another") is None
    house.requests.asked(job)
    assert house.answers.claim("answerer") is None
    assert house.says(job, image(1), image(2))
    answer = house.answer()
    assert (answer.ae_title, answer.own_ae_title, answer.transaction_uid) == (
        "MODALITY",
        "ECHO_NODE",
        "1.7.1",
    )
    assert answer.archive_ae_title == "ARCHIVE"
    assert answer.statuses == {image(1): COMMITTED, image(2): COMMITTED}
    house.answers.answered(answer)
    assert house.states() == ["answered"]
    assert house.answers.claim("answerer") is None


def test_what_the_node_does_not_hold_is_not_asked_for(house: Promising) -> None:
    house.requests.accept(asks(image(1), image(9), image(2, DX)))
    job = house.ask()
    assert job.instances == (image(1),)
    house.says(job, image(1))
    assert house.answer().statuses == {
        image(1): COMMITTED,
        image(9): FailureReason.NO_SUCH_INSTANCE,
        image(2, DX): FailureReason.CLASS_INSTANCE_CONFLICT,
    }


def test_the_same_uid_under_two_classes_is_two_things(house: Promising) -> None:
    house.requests.accept(asks(image(1), image(1, DX)))
    job = house.ask()
    assert house.says(job, image(1, DX))
    assert house.states() == ["asked"]  # the archive spoke of something that it was not asked about
    assert house.says(job, image(1))
    assert house.answer().statuses == {
        image(1): COMMITTED,
        image(1, DX): FailureReason.CLASS_INSTANCE_CONFLICT,
    }


def test_where_nothing_is_held_the_archive_is_not_asked(house: Promising) -> None:
    house.requests.accept(asks(image(9)))
    assert house.requests.claim("asker") is None
    answer = house.answer()
    assert (answer.archive_ae_title, answer.statuses) == ("", {image(9): FailureReason.NO_SUCH_INSTANCE})


def test_nobody_can_say_which_of_two_contents_the_archive_has(house: Promising) -> None:
    house.arrive(received(1, content=b"other"))
    house.requests.accept(asks(image(1)))
    assert house.answer().statuses == {image(1): FailureReason.PROCESSING_FAILURE}


def test_what_the_archive_does_not_have_fails_with_its_reason(house: Promising) -> None:
    house.requests.accept(asks(image(1), image(2)))
    house.says(house.ask(), image(1), failed={image(2).sop_instance_uid: 0x0213})
    assert house.answer().statuses == {image(1): COMMITTED, image(2): 0x0213}


def test_a_failure_outweighs_a_success_in_one_report(house: Promising) -> None:
    house.requests.accept(asks(image(1)))
    house.says(house.ask(), image(1), failed={image(1).sop_instance_uid: 0x0110})
    assert house.answer().statuses == {image(1): 0x0110}


def test_only_the_archive_is_listened_to(house: Promising) -> None:
    house.requests.accept(asks(image(1)))
    job = house.ask()
    yes = CommitmentReport(job.transaction_uid, frozenset({image(1)}), {})
    assert not house.requests.report(yes, "STRANGER")
    assert not house.requests.report(yes, "MODALITY")
    # The modality's own Transaction UID is none of ours.
    assert not house.requests.report(CommitmentReport("1.7.1", frozenset({image(1)}), {}), "ARCHIVE")
    assert house.states() == ["asked"]


def test_the_archive_may_answer_before_the_question_is_recorded(house: Promising) -> None:
    house.requests.accept(asks(image(1)))
    job = house.question()
    assert house.says(job, image(1))
    house.requests.asked(job)
    assert house.states() == ["settled"]


def test_a_partial_answer_is_kept_and_only_the_rest_asked_for_again(house: Promising) -> None:
    house.requests.accept(asks(image(1), image(2)))
    assert house.says(house.ask(), image(1))
    assert house.states() == ["asked"]
    house.clock.move(PATIENCE_S)
    assert house.requests.rescue() == 1
    house.clock.move(LONGEST_DELAY_S)
    job = house.ask()
    assert job.instances == (image(2),)
    house.says(job, image(2))
    assert house.answer().statuses == {image(1): COMMITTED, image(2): COMMITTED}


def test_an_archive_that_never_answers_is_asked_again_and_then_a_failure(house: Promising) -> None:
    house.requests.accept(asks(image(1), image(2)))
    asked = []
    for _ in range(TRIES):
        asked.append(house.ask())
        if len(asked) == 1:
            house.says(asked[0], image(1))
        house.clock.move(PATIENCE_S - 1)
        assert house.requests.rescue() == 0
        house.clock.move(1)
        assert house.requests.rescue() == 1
        assert house.requests.claim("asker") is None  # not at once
        house.clock.move(LONGEST_DELAY_S)
    assert len({job.transaction_uid for job in asked}) == TRIES
    assert not house.says(asked[-1], image(2))  # too late
    assert house.answer().statuses == {image(1): COMMITTED, image(2): FailureReason.PROCESSING_FAILURE}


def test_a_late_answer_to_an_earlier_question_does_not_count(house: Promising) -> None:
    house.requests.accept(asks(image(1)))
    first = house.ask()
    house.clock.move(PATIENCE_S)
    house.requests.rescue()
    house.clock.move(LONGEST_DELAY_S)
    second = house.ask()
    assert not house.says(first, image(1))
    assert house.says(second, image(1))


def test_an_archive_that_refuses_the_question_is_a_failure(house: Promising) -> None:
    house.requests.accept(asks(image(1)))
    house.requests.dead_letter(house.question(), "it accepts none of the proposed presentation contexts")
    assert house.states() == ["settled"]
    assert house.answer().statuses == {image(1): FailureReason.PROCESSING_FAILURE}


def test_another_archive_is_asked_about_everything(house: Promising) -> None:
    house.requests.accept(asks(image(1), image(2), image(9)))
    house.says(house.ask(), image(1))
    house.clock.move(PATIENCE_S)
    house.requests.rescue()
    house.ask_anew("vault")
    house.clock.move(LONGEST_DELAY_S)
    job = house.ask()
    assert (job.destination, set(job.instances)) == ("vault", {image(1), image(2)})
    assert not house.says(job, image(1), image(2))  # the old one
    report = CommitmentReport(job.transaction_uid, frozenset({image(1), image(2)}), {})
    assert house.requests.report(report, "VAULT")
    answer = house.answer()
    assert (answer.archive_ae_title, answer.statuses[image(1)]) == ("VAULT", COMMITTED)


def test_a_repeated_request_is_the_same_one(house: Promising) -> None:
    assert house.requests.accept(asks(image(1), image(2)))
    assert house.requests.accept(asks(image(2), image(1)))
    job = house.ask()
    assert house.requests.accept(asks(image(1), image(2)))
    assert house.states() == ["asked"]
    house.says(job, image(1), image(2))
    house.answers.answered(house.answer())
    assert house.requests.accept(asks(image(1), image(2)))
    assert house.states() == ["settled"]  # who asks again is told again
    assert house.requests.claim("asker") is None
    assert house.answer().statuses == {image(1): COMMITTED, image(2): COMMITTED}


def test_a_transaction_uid_means_one_thing_to_one_peer(house: Promising) -> None:
    assert house.requests.accept(asks(image(1)))
    for other in (asks(image(1), image(2)), asks(image(2)), asks(image(1, DX))):
        assert not house.requests.accept(other)
    assert house.requests.accept(asks(image(2), calling="ANOTHER"))
    assert house.states() == ["pending", "pending"]
    assert house.ask().instances == (image(1),)
    assert house.ask().instances == (image(2),)


def test_an_answer_is_tried_again_and_in_the_end_a_dead_letter_that_can_be_released(house: Promising) -> None:
    house.requests.accept(asks(image(9)))
    house.answers.retry(house.answer(), "cannot be reached", house.clock.now())
    house.answers.dead_letter(house.answer(), "given up")
    assert house.states() == ["dead"]
    assert house.queries.overview().work["commitment_requests"] == {"dead": 1}
    (row,) = house.queries.list_work(COMMITMENT_REQUEST, CommitmentRequestState.DEAD)
    assert (row["reason"], row["destination"]) == ("given up", "MODALITY")
    house.answers.release(row["commitment_request_id"])
    answer = house.answer()
    assert answer.lease.tries == 1
    house.answers.answered(answer)
    with pytest.raises(PermanentError, match="commitment-request 1 is not a dead letter"):
        house.answers.release(1)
    house.answers.dead_letter(_reopened(house), "given up again")
    assert house.requests.accept(asks(image(9)))  # a modality that asks again releases it too
    assert house.states() == ["settled"]


def _reopened(house: Promising) -> AnswerJob:
    assert house.requests.accept(asks(image(9)))
    return house.answer()


def test_a_modality_is_told_one_thing_at_a_time_and_does_not_hold_up_others(house: Promising) -> None:
    for number, calling in enumerate(("SLOW", "SLOW", "QUICK"), start=1):
        house.requests.accept(asks(image(9), uid=f"1.7.{number}", calling=calling))
        house.clock.move(1)
    slow, quick = house.answer(), house.answer()
    assert (slow.ae_title, quick.ae_title) == ("SLOW", "QUICK")
    assert house.answers.claim("a third") is None
    house.answers.answered(slow)
    assert house.answer().ae_title == "SLOW"


def test_a_node_that_is_killed_on_the_way_goes_on_where_it_was(house: Promising) -> None:
    house.requests.accept(asks(image(1)))
    house.ask_anew("archive").question()  # killed after accepting, and again while asking
    house.ask_anew("archive").requests.reclaim_from("asker")
    job = house.ask()
    house.ask_anew("archive").says(job, image(1))  # killed while the archive thinks
    house.ask_anew("archive").answer()  # killed before the answer, and again while answering
    house.ask_anew("archive").answers.reclaim_from("answerer")
    answer = house.answer()
    assert answer.statuses == {image(1): COMMITTED}
    house.answers.answered(answer)
    assert house.ask_anew("archive").states() == ["answered"]


def test_workers_that_were_lost_lose_their_claims(house: Promising) -> None:
    house.requests.accept(asks(image(1)))
    lost = house.question()
    house.clock.move(LEASE_S + 1)
    assert house.requests.rescue() == 1
    job = house.ask()
    assert job.transaction_uid != lost.transaction_uid
    with pytest.raises(LeaseLost):
        house.requests.asked(lost)
    with pytest.raises(LeaseLost):
        house.requests.dead_letter(lost, "x")
    house.says(job, image(1))
    assert house.answer().statuses == {image(1): COMMITTED}  # what the lost one wrote is not there
    house.clock.move(LEASE_S + 1)
    assert house.answers.rescue() == 1
    assert house.states() == ["settled"]


def test_the_one_who_dies_with_every_answer_is_given_up(house: Promising) -> None:
    house.requests.accept(asks(image(9)))
    for _ in range(TRIES):
        house.answer()
        house.clock.move(LEASE_S + 1)
        assert house.answers.rescue() == 1
    assert house.states() == ["dead"]


def test_nothing_is_asked_or_answered_while_delivery_is_paused(house: Promising) -> None:
    pauses = Pauses(house.database, house.clock)
    house.requests.accept(asks(image(1), uid="1.7.1"))
    house.requests.accept(asks(image(9), uid="1.7.2"))
    pauses.begin(Pausable.DELIVERY, "the archive is moved")
    assert (house.requests.claim("asker"), house.answers.claim("answerer")) == (None, None)
    pauses.end(Pausable.DELIVERY)
    job, _ = house.question(), house.answer()
    assert house.queries.running(Pausable.DELIVERY) == 2
    house.requests.release_claim(job)
    assert house.question().lease.tries == job.lease.tries


def test_workers_are_rung_for(house: Promising, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[set[str]] = []

    class Notifier:
        def notify_in_transaction(self, session: object, topics: set[str]) -> None:
            heard.append(set(topics))

        def notify_after_commit(self, topics: set[str]) -> None: ...

    monkeypatch.setattr(house.database, "notifier", Notifier())
    house.requests.accept(asks(image(1)))
    job = house.ask()
    house.says(job, image(1))
    assert [topics for topics in heard if topics] == [{ASKING_ARCHIVE.topic}, {ANSWERING.topic}]


def _delivered(house: Promising) -> None:
    house.complete()
    house.draft(house.claim())
    house.deliveries.finish(house.claim_delivery(), DeliveryOutcome.SUCCESS, 0)


def _retention(house: Promising, folder: Path) -> Retention:
    spool = Spool(LocalObjects(folder), 0)
    return Retention(
        house.database, spool, house.clock, RetentionSettings(keep_days=1), folder, house.ownership
    )


def test_images_stay_until_their_modality_is_answered(house: Promising, tmp_path: Path) -> None:
    _delivered(house)
    house.requests.accept(asks(image(2), image(9)))
    house.clock.move(10 * DAY_S)
    retention = _retention(house, tmp_path)
    assert retention() == 0
    house.says(house.ask(), image(2))
    assert retention() == 0
    house.answers.answered(house.answer())
    assert retention() == 1


def test_an_answer_that_was_given_up_keeps_nothing(house: Promising, tmp_path: Path) -> None:
    _delivered(house)
    house.requests.accept(asks(image(2, DX)))
    house.clock.move(10 * DAY_S)
    retention = _retention(house, tmp_path)
    assert retention() == 0
    house.answers.dead_letter(house.answer(), "it is gone for good")
    assert retention() == 1


def test_a_study_that_is_asked_about_while_it_is_removed_stays(
    house: Promising, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request comes after retention has chosen the study and before it locks it."""
    _delivered(house)
    house.clock.move(10 * DAY_S)
    retention = _retention(house, tmp_path)
    chosen = retention._finished_first

    def chosen_and_asked_about(before: object) -> int | None:
        study_id = chosen(before)  # type: ignore[arg-type]
        if study_id is not None:
            house.requests.accept(asks(image(1)))
        return study_id

    monkeypatch.setattr(retention, "_finished_first", chosen_and_asked_about)
    assert retention() == 0
    assert house.question().instances == (image(1),)


def test_what_retention_removed_before_is_the_archives_to_say(house: Promising, tmp_path: Path) -> None:
    _delivered(house)
    house.clock.move(10 * DAY_S)
    assert _retention(house, tmp_path)() == 1
    house.requests.accept(asks(image(1)))
    house.says(house.ask(), image(1))
    assert house.answer().statuses == {image(1): COMMITTED}


def test_promises_are_backed_up_and_shown(
    house: Promising, tmp_path: Path, new_database: Callable[[], Database]
) -> None:
    house.requests.accept(asks(image(1), image(9)))
    house.says(house.ask(), image(1))
    back_up(house.database, house.objects, tmp_path, tmp_path / "backup", lambda done, of: None)
    again = Promising.__new__(Promising)
    House.__init__(again, new_database(), tmp_path / "again")
    restore(tmp_path / "backup", again.database, again.objects, lambda done, of: None)
    again._numbers = itertools.count(100)
    again.clock.moment = house.clock.now()
    record = again.ask_anew("archive").queries.commitment_request(1)
    assert [
        (row["sop_instance_uid"], row["is_committed"], row["failure_reason"], row["study_id"])
        for row in record["instances"]
    ] == [("1.2.3.99.1", True, None, 1), ("1.2.3.99.9", False, "0x0112", None)]
    assert [row["commitment_request_id"] for row in again.queries.show(1)["commitment_requests"]] == [1]
    assert again.queries.study_of(COMMITMENT_REQUEST, 1) == 1
    assert again.answer().statuses == house.answer().statuses
    again.requests.accept(asks(image(2), uid="1.7.2"))  # the next row has a number of its own
    with pytest.raises(PermanentError, match="no commitment-request 7"):
        again.queries.commitment_request(7)


def test_many_images_in_one_request(house: Promising) -> None:
    everything = [image(number) for number in range(1, 2501)]
    house.requests.accept(asks(*everything))
    with house.database.read() as session:
        assert len(session.scalars(select(RequestedInstance.id)).all()) == 2500
    assert set(house.question().instances) == {image(1), image(2), image(3)}


_STEPS = st.lists(
    st.sampled_from(["ask", "lose", "wait", "yes", "no", "half", "other", "answer", "again", "stranger"]),
    max_size=25,
)


@given(_STEPS)
@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_whatever_happens_success_is_what_the_archive_said(
    new_database: Callable[[], Database], tmp_path: Path, steps: list[str]
) -> None:
    """No order of events reports an image as safe if the archive did not commit to it in time."""
    house = Promising(new_database(), tmp_path)
    request = asks(image(1), image(2), image(9))
    house.requests.accept(request)
    last: CommitmentJob | None = None
    said: set[ReferencedInstance] = set()
    for step in steps:
        if step == "ask" and (job := house.requests.claim("asker")) is not None:
            last = job
            house.requests.asked(job)
        elif step == "lose" and (job := house.requests.claim("asker")) is not None:
            last = job
        elif step == "wait":
            house.clock.move(PATIENCE_S + LONGEST_DELAY_S)
            house.requests.rescue()
            house.answers.rescue()
        elif step in {"yes", "half"} and last is not None:
            images = (image(1), image(2)) if step == "yes" else (image(1),)
            if house.says(last, *images):
                said |= set(images)
        elif step == "no" and last is not None:
            house.says(last, failed={each.sop_instance_uid: 0x0112 for each in (image(1), image(2))})
        elif step == "other" and last is not None:
            house.says(last, image(1, DX), image(2, DX), image(9))
        elif step == "stranger" and last is not None:
            everything = frozenset(request.instances)
            assert not house.requests.report(CommitmentReport(last.transaction_uid, everything, {}), "OTHER")
        elif step == "again":
            assert house.requests.accept(request)
        elif step == "answer" and (answer := house.answers.claim("answerer")) is not None:
            assert set(answer.statuses) == request.instances
            assert {each for each, status in answer.statuses.items() if status == COMMITTED} <= said
            house.answers.answered(answer)
