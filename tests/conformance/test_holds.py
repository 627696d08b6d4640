"""Holds: what contradicts a study stops its draft, whenever it arrives, until it is resolved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.house import House
from support.studies import JPEG_2000, MODEL, SentInstance, digest, document, received, selection

from echo_node.domain.ports import DeliveryOutcome
from echo_node.domain.studies.intake import StoreOutcome
from echo_node.domain.work.drafting import NewDraft, StudySnapshot, Unchanged
from echo_node.domain.work.hold import Decision
from echo_node.domain.work.job import JobState
from echo_node.domain.work.kinds import JOB
from echo_node.domain.work.lifecycle import StudyState
from echo_node.domain.work.withdrawal import IdentityConflict, WithdrawalReason
from echo_node.errors import LeaseLost, PermanentError
from echo_node.storage.database.engine import Database

KEEP, REPLACE = Decision.KEEP, Decision.REPLACE
FIRST, OTHER = received(), received(content=b"another patient")


@pytest.fixture
def house(database: Database, tmp_path: Path) -> House:
    return House(database, tmp_path)


def check(house: House) -> StudySnapshot:
    """Draft the next study as a worker does whose check compares contents: equal ones agree."""
    job = house.claim()
    with house.drafts.open(job) as study:
        contending = [each.instance for each in study.set_aside]
        kept = {each.identity.sop_instance_uid: each for each in study.instances}
        if contending:
            found = IdentityConflict(
                WithdrawalReason.PATIENT_SAFETY,
                "the patient ID differs",
                ("PatientID",),
                newer=tuple(each.data_set_sha256 for each in contending),
                older=tuple(
                    each.data_set_sha256
                    for each in [*(kept[each.kept] for each in study.set_aside), *contending[:-1]]
                ),
            )
            house.drafts.finish(job, found)
        elif not study.instances:
            house.jobs.skip(job, "the study has no images")
        else:
            number = int(job.study_instance_uid.rpartition(".")[2])
            uids_read = [
                f"{each.identity.sop_instance_uid} {each.data_set_sha256}" for each in study.instances
            ]
            made = document(number, job.revision, "\n".join(uids_read).encode())
            house.drafts.finish(job, NewDraft([made], selection(FIRST), MODEL))
        return study


def contents(study: StudySnapshot) -> list[str]:
    return [each.data_set_sha256 for each in study.instances]


def digests(*instances: SentInstance) -> list[str]:
    return [digest(each) for each in instances]


def deliver(house: House) -> list[str]:
    kinds = []
    while (job := house.deliveries.claim("sender")) is not None:
        kinds.append(house.deliveries.document(job).kind)
        house.deliveries.finish(job, DeliveryOutcome.SUCCESS, 0)
    return kinds


def before_completion(house: House) -> None:
    house.arrive(FIRST)
    house.arrive(OTHER)
    house.complete()


def after_completion(house: House) -> None:
    house.arrive(FIRST)
    house.complete()
    house.arrive(OTHER)
    house.complete()


def while_drafting(house: House) -> None:
    house.arrive(FIRST)
    house.complete()
    job = house.claim()
    house.arrive(OTHER)
    with pytest.raises(LeaseLost):
        house.draft(job, FIRST)
    assert house.queries.overview().documents == 0
    house.complete()


def after_delivery(house: House) -> None:
    house.arrive(FIRST)
    house.complete()
    check(house)
    assert deliver(house) == ["basic-text-sr"]
    house.arrive(OTHER)
    house.complete()


@pytest.mark.parametrize("arriving", [before_completion, after_completion, while_drafting])
def test_nothing_is_drafted_before_the_operator_decides(
    house: House, arriving: Callable[[House], None]
) -> None:
    arriving(house)
    check(house)
    assert (house.state(), house.reason()) == (StudyState.HELD, "the patient ID differs")
    assert house.queries.overview().documents == 0
    (held,) = house.queries.show(1)["holds"]
    assert (held["attributes"], held["ending"]) == (["PatientID"], None)
    assert [each["role"] for each in held["objects"]] == ["first", "newest"]
    assert len({each["path"] for each in held["objects"]}) == 2
    house.complete()
    assert house.jobs.claim("worker") is None


def test_what_was_delivered_is_withdrawn_and_waits(house: House) -> None:
    after_delivery(house)
    check(house)
    assert house.state() is StudyState.WITHDRAWING
    assert house.notes() == 1
    assert deliver(house) == ["rejection-note"]
    assert house.state() is StudyState.WITHDRAWN
    assert [row["study_id"] for row in house.queries.held_studies()] == [1]


def test_a_draft_that_no_destination_has_is_stopped(house: House) -> None:
    house.arrive(FIRST)
    house.complete()
    check(house)
    house.arrive(OTHER)
    house.complete()
    check(house)
    assert house.state() is StudyState.WITHDRAWN
    assert house.deliveries.claim("sender") is None


@pytest.mark.parametrize("arriving", [before_completion, while_drafting, after_delivery])
@pytest.mark.parametrize(("decision", "right"), [(KEEP, FIRST), (REPLACE, OTHER)])
def test_the_object_that_is_right_is_drafted_and_the_pair_is_settled(
    house: House, arriving: Callable[[House], None], decision: Decision, right: SentInstance
) -> None:
    arriving(house)
    check(house)
    revision = house.revision()
    assert house.resolutions.resolve(1, decision, "alice") == revision + 1
    assert contents(check(house)) == digests(right)
    assert house.state() is StudyState.DRAFTED
    house.notes()
    kinds = deliver(house)
    assert kinds.count("basic-text-sr") == 1
    assert kinds.count("rejection-note") == (1 if arriving is after_delivery else 0)
    for again in (FIRST, OTHER):
        assert house.arrive(again) is StoreOutcome.DUPLICATE
    assert house.state() is StudyState.DELIVERED
    (held,) = house.queries.show(1)["holds"]
    assert (held["ending"], held["ended_by"]) == (decision, "alice")
    assert house.queries.overview().held == house.queries.overview().conflicts == 0


@pytest.mark.parametrize("decision", Decision)
def test_a_third_content_is_another_contradiction(house: House, decision: Decision) -> None:
    before_completion(house)
    check(house)
    house.resolutions.resolve(1, decision, "alice")
    check(house)
    third = received(content=b"a third patient")
    assert house.arrive(third) is StoreOutcome.CONFLICT
    house.complete()
    check(house)
    assert house.state() is StudyState.WITHDRAWN
    house.resolutions.resolve(1, REPLACE, "alice")
    assert contents(check(house)) == digests(third)


def test_the_newest_of_several_replaces_all_others(house: House) -> None:
    third = received(content=b"a third patient")
    house.arrive(FIRST)
    house.arrive(OTHER)
    house.arrive(third)
    house.complete()
    check(house)
    (held,) = house.queries.show(1)["holds"]
    assert [each["role"] for each in held["objects"]] == ["first", "newer", "newest"]
    house.resolutions.resolve(1, REPLACE, "alice")
    study = check(house)
    assert (contents(study), study.set_aside) == (digests(third), ())


def test_a_new_image_has_a_held_study_checked_again(house: House) -> None:
    before_completion(house)
    check(house)
    house.arrive(received(2))
    assert house.state() is StudyState.RECEIVING
    house.complete()
    check(house)
    assert house.state() is StudyState.HELD
    assert [row["ending"] for row in house.queries.show(1)["holds"]] == ["superseded", None]


def test_only_a_held_study_can_be_resolved_and_only_once(house: House) -> None:
    with pytest.raises(PermanentError, match="there is no study 1"):
        house.resolutions.resolve(1, KEEP, "alice")
    house.arrive(FIRST)
    with pytest.raises(PermanentError, match="receiving, and not held"):
        house.resolutions.resolve(1, KEEP, "alice")
    house.arrive(OTHER)
    house.complete()
    check(house)
    house.resolutions.resolve(1, KEEP, "alice")
    with pytest.raises(PermanentError, match="not held: nothing to resolve"):
        house.resolutions.resolve(1, REPLACE, "alice")
    assert contents(check(house)) == digests(FIRST)


def test_the_same_content_and_other_encodings_of_it_hold_nothing(house: House) -> None:
    house.arrive(FIRST)
    house.complete()
    check(house)
    deliver(house)
    assert house.arrive(FIRST) is StoreOutcome.DUPLICATE
    assert house.arrive(received(content=b"compressed", syntax=JPEG_2000)) is StoreOutcome.DUPLICATE
    assert (house.state(), house.revision()) == (StudyState.DELIVERED, 1)


def test_the_same_other_content_again_has_no_effect(house: House) -> None:
    before_completion(house)
    check(house)
    assert house.arrive(OTHER) is StoreOutcome.DUPLICATE
    assert (house.state(), house.revision()) == (StudyState.HELD, 1)


def test_other_content_that_does_not_matter_changes_nothing(house: House) -> None:
    house.arrive(FIRST)
    house.complete()
    check(house)
    deliver(house)
    house.arrive(OTHER)
    house.complete()
    house.drafts.finish(house.claim(), Unchanged())
    assert (house.state(), deliver(house)) == (StudyState.DELIVERED, [])


def test_an_operator_who_withdrew_the_study_is_asked_when_it_is_drafted_again(house: House) -> None:
    house.arrive(FIRST)
    house.complete()
    house.withdrawals.withdraw(1, WithdrawalReason.QUALITY, "alice")
    house.arrive(OTHER)
    assert (house.state(), house.revision()) == (StudyState.WITHDRAWN, 1)
    house.withdrawals.redraft(1)
    check(house)
    assert house.state() is StudyState.HELD


def test_a_redraft_ends_the_hold(house: House) -> None:
    after_delivery(house)
    check(house)
    house.withdrawals.redraft(1)
    assert house.queries.held_studies() == []
    check(house)
    assert house.state() is StudyState.HELD
    assert [row["ending"] for row in house.queries.show(1)["holds"]] == ["redraft", None]


def test_a_held_study_can_be_withdrawn_and_resolved_afterwards(house: House) -> None:
    before_completion(house)
    check(house)
    assert house.withdrawals.withdraw(1, WithdrawalReason.QUALITY, "alice")
    assert house.state() is StudyState.WITHDRAWN
    house.resolutions.resolve(1, REPLACE, "alice")
    assert contents(check(house)) == digests(OTHER)


class TestAnotherStudy:
    """The second object has the SOP Instance UID of an image in study 1, and belongs to study 2."""

    MOVED = received(study=2, content=b"another patient")

    def hold(self, house: House, *others: SentInstance) -> None:
        for each in (FIRST, *others):
            house.arrive(each)
        house.complete()
        while len(house.queries.list_work(JOB, JobState.READY)) > 0:
            check(house)
        deliver(house)
        assert house.arrive(self.MOVED) is StoreOutcome.CONFLICT
        house.complete()
        assert contents(check(house))[0] == digest(FIRST)

    def test_the_other_study_keeps_its_draft_without_it_and_shows_why(self, house: House) -> None:
        self.hold(house, received(3, study=2))
        assert (house.state(1), house.state(2)) == (StudyState.WITHDRAWING, StudyState.DELIVERED)
        (elsewhere,) = house.queries.show(2)["set_aside_elsewhere"]
        assert (elsewhere["study_id"], elsewhere["resolution"]) == (1, None)
        house.arrive(received(4, study=2))
        house.complete()
        assert contents(check(house)) == digests(received(3, study=2), received(4, study=2))

    def test_it_moves_to_its_own_study(self, house: House) -> None:
        self.hold(house)
        house.resolutions.resolve(1, REPLACE, "alice")
        check(house)
        assert (house.state(1), house.reason(1)) == (StudyState.SKIPPED, "the study has no images")
        assert house.state(2) is StudyState.RECEIVING
        house.complete()
        study = check(house)
        assert contents(study) == digests(self.MOVED)
        assert study.instances[0].identity == self.MOVED.identity
        assert house.state(2) is StudyState.DRAFTED

    def test_both_studies_get_a_new_revision(self, house: House) -> None:
        self.hold(house, received(2), received(3, study=2))
        house.resolutions.resolve(1, REPLACE, "alice")
        house.complete()
        assert (house.revision(1), house.revision(2)) == (3, 2)
        drafted = {frozenset(contents(check(house))) for _ in range(2)}
        assert drafted == {
            frozenset(digests(received(2))), frozenset(digests(self.MOVED, received(3, study=2))),
        }  # fmt: skip
        assert house.arrive(FIRST) is StoreOutcome.DUPLICATE

    def test_kept_it_stays_out_of_both(self, house: House) -> None:
        self.hold(house)
        house.resolutions.resolve(1, KEEP, "alice")
        assert contents(check(house)) == digests(FIRST)
        assert house.arrive(self.MOVED) is StoreOutcome.DUPLICATE
        assert [row["study_id"] for row in house.queries.recent_studies()] == [1]


class TestLateImages:
    """Images of one study that contradict each other have SOP Instance UIDs of their own."""

    def hold(self, house: House) -> tuple[SentInstance, SentInstance]:
        late = received(2, content=b"another patient")
        house.arrive(FIRST)
        house.arrive(late)
        house.complete()
        found = IdentityConflict(
            WithdrawalReason.PATIENT_SAFETY, "the patient ID differs", ("PatientID",),
            newer=tuple(digests(late)), older=tuple(digests(FIRST)),
        )  # fmt: skip
        house.drafts.finish(house.claim(), found)
        return FIRST, late

    @pytest.mark.parametrize(("decision", "right"), [(KEEP, 0), (REPLACE, 1)])
    def test_the_others_are_excluded(self, house: House, decision: Decision, right: int) -> None:
        pair = self.hold(house)
        house.resolutions.resolve(1, decision, "alice")
        assert contents(check(house)) == digests(pair[right])
        excluded = [row["excluded_at"] is not None for row in house.queries.show(1)["instances"]]
        assert excluded == [right == 1, right == 0]
        assert house.arrive(pair[1 - right]) is StoreOutcome.DUPLICATE

    def test_what_is_corrected_afterwards_takes_the_place_of_an_excluded_image(self, house: House) -> None:
        first, late = self.hold(house)
        house.resolutions.resolve(1, KEEP, "alice")
        check(house)
        corrected = received(2, content=b"the same patient")
        assert house.arrive(corrected) is StoreOutcome.STORED
        house.complete()
        assert contents(check(house)) == digests(first, corrected)
        assert house.arrive(late) is StoreOutcome.DUPLICATE
        assert house.state() is StudyState.DRAFTED

    def test_an_excluded_image_is_free_for_its_own_study(self, house: House) -> None:
        self.hold(house)
        house.resolutions.resolve(1, KEEP, "alice")
        check(house)
        own = received(2, study=2, content=b"another patient, in a study of its own")
        assert house.arrive(own) is StoreOutcome.STORED
        house.complete()
        assert contents(check(house)) == digests(own)
        assert house.state(1) is StudyState.DRAFTED


class TestPeersThatDecide:
    def test_a_newer_object_of_such_a_peer_replaces_and_is_drafted(self, house: House) -> None:
        house.arrive(FIRST)
        house.complete()
        check(house)
        deliver(house)
        house.arrive(received(content=b"corrected", calling="REPLACES"))
        house.complete()
        check(house)
        assert house.state() is StudyState.QUEUED
        assert contents(check(house)) == digests(received(content=b"corrected"))
        assert house.notes() == 1
        assert sorted(deliver(house)) == ["basic-text-sr", "rejection-note"]
        assert house.state() is StudyState.DELIVERED
        assert house.queries.held_studies() == []

    def test_the_operator_decides_if_another_peer_contradicts_too(self, house: House) -> None:
        house.arrive(FIRST)
        house.arrive(received(content=b"corrected", calling="REPLACES"))
        house.arrive(OTHER)
        house.complete()
        check(house)
        assert house.state() is StudyState.HELD

    def test_a_late_image_of_such_a_peer_excludes_no_other(self, house: House) -> None:
        late = received(2, content=b"another patient", calling="REPLACES")
        house.arrive(FIRST)
        house.arrive(late)
        house.complete()
        found = IdentityConflict(
            WithdrawalReason.PATIENT_SAFETY, "the patient ID differs", ("PatientID",),
            newer=tuple(digests(late)), older=tuple(digests(FIRST)),
        )  # fmt: skip
        house.drafts.finish(house.claim(), found)
        assert house.state() is StudyState.HELD


def test_a_value_that_cannot_be_written_holds_until_it_is_corrected(house: House) -> None:
    house.arrive(FIRST)
    house.complete()
    unwritable = IdentityConflict(WithdrawalReason.PATIENT_SAFETY, "PatientID is too long", ("PatientID",))
    house.drafts.finish(house.claim(), unwritable)
    with pytest.raises(PermanentError, match="no newer object"):
        house.resolutions.resolve(1, REPLACE, "alice")
    assert house.state() is StudyState.HELD
    house.resolutions.resolve(1, KEEP, "alice")
    house.drafts.finish(house.claim(), unwritable)
    assert house.state() is StudyState.HELD
    house.arrive(OTHER)
    house.complete()
    check(house)
    house.resolutions.resolve(1, REPLACE, "alice")
    assert contents(check(house)) == digests(OTHER)
    assert house.state() is StudyState.DRAFTED
