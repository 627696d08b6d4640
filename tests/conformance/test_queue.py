"""The durable path's promises, the same on every database."""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import func, select, text
from structlog.testing import capture_logs
from support.house import FORCED_S, IDLE_S, LEASE_S, House
from support.studies import JPEG_2000, MODEL, digest, document, received, selection, stored_file

from echo_node.domain.drafts.report import EncodedDocument
from echo_node.domain.ports import DeliveryOutcome
from echo_node.domain.studies.intake import StoreOutcome
from echo_node.domain.work.drafting import NewDraft, Unchanged
from echo_node.domain.work.job import DeliveryState, DraftJob, JobState
from echo_node.domain.work.kinds import DELIVERY, JOB
from echo_node.domain.work.lifecycle import StudyState
from echo_node.errors import LeaseLost, PermanentError
from echo_node.logs import ALLOWED_KEYS
from echo_node.storage.database.engine import Database
from echo_node.storage.database.tables import Instance, Job, Study


@pytest.fixture
def house(database: Database, tmp_path: Path) -> House:
    return House(database, tmp_path)


def test_a_new_instance_makes_a_study_that_is_receiving(house: House) -> None:
    assert house.arrive() is StoreOutcome.STORED
    assert house.state() is StudyState.RECEIVING
    assert house.revision() == 1


def test_an_instance_moves_the_due_time_forward(house: House) -> None:
    house.arrive(received(1))
    house.clock.move(IDLE_S - 1)
    house.arrive(received(2))
    house.clock.move(IDLE_S - 1)
    assert house.studies.complete_due() == []
    house.clock.move(1)
    assert len(house.studies.complete_due()) == 1
    assert house.state() is StudyState.QUEUED


def test_a_study_that_never_rests_is_completed_at_its_upper_bound(house: House) -> None:
    for number in range(int(FORCED_S // 50)):
        house.arrive(received(number))
        assert house.studies.complete_due() == []
        house.clock.move(50)
    assert len(house.studies.complete_due()) == 1


def test_a_sender_may_have_a_debounce_of_its_own(house: House) -> None:
    house.arrive(received(calling="HASTY"))
    house.clock.move(5)
    assert len(house.studies.complete_due()) == 1


def test_a_hasty_sender_does_not_shorten_what_another_was_promised(house: House) -> None:
    house.arrive(received(1))
    house.arrive(received(2, calling="HASTY"))
    house.clock.move(6)
    assert house.studies.complete_due() == []


def test_completion_enqueues_exactly_one_job(house: House) -> None:
    house.arrive()
    house.complete()
    house.complete()
    assert [job["state"] for job in house.queries.list_work(JOB)] == ["ready"]


def test_a_resend_while_receiving_gives_more_time(house: House) -> None:
    house.arrive()
    house.clock.move(IDLE_S - 1)
    assert house.arrive() is StoreOutcome.DUPLICATE
    house.clock.move(IDLE_S - 1)
    assert house.studies.complete_due() == []


def test_a_resend_after_completion_moves_nothing(house: House) -> None:
    house.drafted()
    assert house.arrive() is StoreOutcome.DUPLICATE
    assert (house.state(), house.revision()) == (StudyState.DRAFTED, 1)


def test_the_same_image_in_another_transfer_syntax_is_a_duplicate(house: House) -> None:
    house.arrive()
    assert house.arrive(received(content=b"compressed", syntax=JPEG_2000)) is StoreOutcome.DUPLICATE


def test_other_content_under_a_known_uid_is_set_aside_once(house: House) -> None:
    house.drafted()
    forged = received(content=b"something else")
    with capture_logs() as logs:
        assert house.arrive(forged) is StoreOutcome.CONFLICT
        assert house.arrive(forged) is StoreOutcome.DUPLICATE
    (warning,) = [entry for entry in logs if entry["log_level"] == "warning"]
    assert (warning["event"], warning["study_id"]) == ("instance_set_aside", 1)
    assert set(warning) - {"log_level"} <= ALLOWED_KEYS
    assert (house.state(), house.revision()) == (StudyState.RECEIVING, 2), "once, and checked again"
    assert len(house.queries.show(1)["conflicts"]) == 1
    assert house.queries.overview().conflicts == 1
    assert house.queries.studies_with_conflicts() == [1]


def test_a_known_uid_in_another_study_is_a_conflict_and_makes_no_study(house: House) -> None:
    house.arrive(received(1, study=1))
    assert house.arrive(received(1, study=2, content=b"x")) is StoreOutcome.CONFLICT
    assert house.queries.overview().studies == {"receiving": 1}


def test_no_row_names_the_file_of_a_duplicate(house: House) -> None:
    house.arrive()
    again = received()
    assert house.studies.record(again, stored_file(again, "1")) is StoreOutcome.DUPLICATE
    assert not house.studies.refers_to(stored_file(again, "1"))
    assert house.studies.refers_to(stored_file(again))


def test_work_that_was_done_and_not_answered_is_no_duplicate(house: House) -> None:
    """Its row names the very file: taken for a duplicate, the file would be removed."""
    instance = received()
    for _ in range(2):
        assert house.studies.record(instance, stored_file(instance)) is StoreOutcome.STORED


def test_a_new_instance_after_completion_begins_a_new_revision(house: House) -> None:
    house.drafted()
    house.arrive(received(2))
    assert (house.state(), house.revision()) == (StudyState.RECEIVING, 2)
    house.complete()
    job = house.claim()
    assert job.revision == 2


def test_a_worker_of_an_earlier_revision_cannot_finish(house: House) -> None:
    house.arrive()
    house.complete()
    old = house.claim()
    house.arrive(received(2))
    with pytest.raises(LeaseLost):
        house.draft(old)
    endings: tuple[Callable[[], object], ...] = (
        lambda: house.jobs.retry(old, "x", house.clock.now()),
        lambda: house.jobs.dead_letter(old, "x"),
        lambda: house.jobs.skip(old, "x"),
        lambda: house.jobs.release_claim(old),
        lambda: house.jobs.renew(old),
        lambda: house.drafts.finish(old, Unchanged()),
    )
    for ending in endings:
        with pytest.raises(LeaseLost):
            ending()
    assert (house.state(), house.revision()) == (StudyState.RECEIVING, 2)
    house.complete()
    assert house.claim().revision == 2
    assert house.queries.overview().documents == 0


def test_a_refused_document_leaves_no_file(house: House, tmp_path: Path) -> None:
    house.arrive()
    house.complete()
    old = house.claim()
    house.arrive(received(2))
    with pytest.raises(LeaseLost):
        house.draft(old)
    assert list((tmp_path / "outbox").glob("*.dcm")) == []


def test_a_claim_is_exclusive_and_moves_the_study(house: House) -> None:
    house.arrive()
    house.complete()
    house.claim()
    assert house.state() is StudyState.DRAFTING
    assert house.jobs.claim("other") is None


def test_many_workers_never_get_the_same_job(house: House) -> None:
    for study in range(12):
        house.arrive(received(study, study=study))
    house.complete()
    start = threading.Barrier(4)

    def work(number: int) -> list[int]:
        start.wait(10)
        claimed = []
        misses = 0
        while misses < 3:
            job = house.jobs.claim(f"worker-{number}")
            if job is None:
                misses += 1
            else:
                claimed.append(job.study_id)
        return claimed

    with ThreadPoolExecutor(4) as pool:
        claimed = [study for each in pool.map(work, range(4)) for study in each]
    assert len(claimed) == len(set(claimed)) == 12


def test_many_senders_of_one_instance_store_it_once(house: House) -> None:
    start = threading.Barrier(6)

    def send(number: int) -> StoreOutcome:
        instance = received()
        start.wait(10)
        return house.studies.record(instance, stored_file(instance, str(number)))

    with ThreadPoolExecutor(6) as pool:
        stored = list(pool.map(send, range(6)))
    assert stored.count(StoreOutcome.STORED) == 1
    assert stored.count(StoreOutcome.DUPLICATE) == 5
    with house.database.read() as session:
        assert session.scalar(select(func.count()).select_from(Instance)) == 1


def test_arrivals_claims_and_endings_at_once_never_deadlock(house: House) -> None:
    """Intake locks study then job; claims and endings must keep to that order."""
    studies, rounds = 4, 12
    stop = threading.Event()

    def send(study: int) -> None:
        for number in range(rounds):
            house.arrive(received(100 * study + number, study=study))
            house.studies.complete_due()

    def work(number: int) -> None:
        while not stop.is_set():
            job = house.jobs.claim(f"worker-{number}")
            if job is not None:
                try:
                    house.jobs.skip(job, "not for us")
                except LeaseLost:
                    continue

    def prioritise() -> None:
        while not stop.wait(0.01):
            house.clock.move(IDLE_S)

    with ThreadPoolExecutor(studies + 3) as pool:
        workers = [pool.submit(work, number) for number in range(2)] + [pool.submit(prioritise)]
        try:
            for sent in [pool.submit(send, study) for study in range(1, studies + 1)]:
                sent.result(60)
        finally:
            stop.set()
        for worker in workers:
            worker.result(10)
    assert house.queries.overview().instances == studies * rounds


def test_a_heartbeat_keeps_a_claim(house: House) -> None:
    house.arrive()
    house.complete()
    job = house.claim()
    for _ in range(3):
        house.clock.move(LEASE_S - 1)
        house.jobs.renew(job)
        assert house.jobs.rescue() == 0
    house.draft(job)
    assert house.state() is StudyState.DRAFTED


def test_a_silent_worker_loses_its_claim_and_cannot_finish(house: House) -> None:
    house.arrive()
    house.complete()
    silent = house.claim("silent")
    house.clock.move(LEASE_S + 1)
    assert house.jobs.rescue() == 1
    assert house.state() is StudyState.QUEUED
    second = house.claim("second")
    assert second.lease.attempt == 2
    with pytest.raises(LeaseLost):
        house.draft(silent)
    house.draft(second)
    assert house.queries.overview().documents == 1


def test_the_claims_of_dead_predecessors_are_taken_over_at_once(house: House) -> None:
    house.arrive(received(1, study=1))
    house.arrive(received(2, study=2))
    house.complete()
    house.claim("here/infer/1")
    house.claim("elsewhere/infer/1")
    house.jobs.reclaim_from("here/infer/")
    assert house.claim("here/infer/2").lease.attempt == 2
    assert house.jobs.claim("here/infer/2") is None


def test_a_retry_waits_until_its_time(house: House) -> None:
    house.arrive()
    house.complete()
    house.jobs.retry(house.claim(), "busy", house.clock.now().replace(year=2027))
    assert house.state() is StudyState.QUEUED
    assert house.jobs.claim("worker") is None
    house.clock.moment = house.clock.moment.replace(year=2027)
    assert house.claim().lease.tries == 2


def test_work_given_back_was_not_tried(house: House) -> None:
    house.arrive()
    house.complete()
    house.jobs.release_claim(house.claim())
    job = house.claim()
    assert (job.lease.tries, job.lease.attempt) == (1, 2)


def test_a_dead_letter_is_released_once_and_begins_anew(house: House) -> None:
    house.arrive()
    house.complete()
    house.jobs.dead_letter(house.claim(), "no such pixels")
    assert (house.state(), house.reason()) == (StudyState.FAILED, "no such pixels")
    house.jobs.release(1)
    assert house.state() is StudyState.QUEUED
    with pytest.raises(PermanentError):
        house.jobs.release(1)
    job = house.claim()
    assert job.lease.tries == 1
    assert job.lease.attempt == 2


def test_releasing_what_is_not_there_says_so(house: House) -> None:
    with pytest.raises(PermanentError, match="no job 9"):
        house.jobs.release(9)
    with pytest.raises(PermanentError, match="no delivery 9"):
        house.deliveries.release(9)


def test_a_skipped_study_says_why(house: House) -> None:
    house.arrive()
    house.complete()
    house.jobs.skip(house.claim(), "not a chest")
    assert (house.state(), house.reason()) == (StudyState.SKIPPED, "not a chest")
    assert house.queries.list_work(JOB, JobState.SKIPPED)[0]["reason"] == "not a chest"


def test_a_draft_is_stored_with_its_deliveries(house: House, tmp_path: Path) -> None:
    house.drafted()
    job = house.claim_delivery()
    assert (job.destination, house.deliveries.document(job)) == ("PACS", document(1, 1))
    assert (tmp_path / house.queries.show(1)["documents"][0]["path"]).read_bytes() == b"draft"


def test_a_delivery_delivers_the_study(house: House) -> None:
    house.drafted()
    house.deliveries.finish(house.claim_delivery(), DeliveryOutcome.SUCCESS, 0)
    assert house.state() is StudyState.DELIVERED
    assert house.deliveries.claim("sender") is None


def test_a_warning_counts_as_delivered(house: House) -> None:
    house.drafted()
    house.deliveries.finish(house.claim_delivery(), DeliveryOutcome.WARNING, 0xB000)
    assert house.state() is StudyState.DELIVERED
    row = house.queries.list_work(DELIVERY, DeliveryState.DELIVERED_WITH_WARNING)[0]
    assert row["status"] == "0xB000"


def test_a_study_is_delivered_when_every_destination_has_it(database: Database, tmp_path: Path) -> None:
    house = House(database, tmp_path, ("PACS", "ARCHIVE"))
    house.drafted()
    first, second = house.claim_delivery(), house.claim_delivery()
    house.deliveries.finish(first, DeliveryOutcome.SUCCESS, 0)
    assert house.state() is StudyState.DRAFTED
    house.deliveries.dead_letter(second, "refused")
    assert house.state() is StudyState.UNDELIVERED
    house.deliveries.release(second.lease.row_id)
    assert house.state() is StudyState.DRAFTED
    house.deliveries.finish(house.claim_delivery(), DeliveryOutcome.SUCCESS, 0)
    assert house.state() is StudyState.DELIVERED


def test_a_sender_that_lost_its_claim_cannot_finish(house: House) -> None:
    house.drafted()
    silent = house.claim_delivery("silent")
    house.clock.move(LEASE_S + 1)
    assert house.deliveries.rescue() == 1
    again = house.claim_delivery("second")
    assert again.document_id == silent.document_id
    with pytest.raises(LeaseLost):
        house.deliveries.finish(silent, DeliveryOutcome.SUCCESS, 0)
    house.deliveries.finish(again, DeliveryOutcome.SUCCESS, 0)


def test_a_changed_file_is_never_sent(house: House, tmp_path: Path) -> None:
    house.drafted()
    (tmp_path / house.queries.show(1)["documents"][0]["path"]).write_bytes(b"tampered")
    job = house.claim_delivery()
    with pytest.raises(PermanentError, match="changed"):
        house.deliveries.document(job)


def test_without_destinations_a_draft_waits(database: Database, tmp_path: Path) -> None:
    house = House(database, tmp_path, destinations=())
    house.drafted()
    assert house.state() is StudyState.DRAFTED
    assert house.deliveries.claim("sender") is None
    assert house.deliveries.create_missing({}) == 0
    pacs = {"PACS": ("basic-text-sr",)}
    assert house.deliveries.create_missing(pacs) == 1
    assert house.deliveries.create_missing(pacs) == 0
    house.deliveries.finish(house.claim_delivery(), DeliveryOutcome.SUCCESS, 0)
    assert house.state() is StudyState.DELIVERED
    # The past is not sent to a new PACS.
    assert house.deliveries.create_missing(pacs | {"NEW": pacs["PACS"]}) == 0


def test_one_destination_is_claimed_without_the_others(database: Database, tmp_path: Path) -> None:
    house = House(database, tmp_path, ("DEAD", "PACS"))
    house.drafted()
    house.deliveries._destination = "PACS"
    assert house.claim_delivery().destination == "PACS"
    assert house.deliveries.claim("sender") is None


def test_the_same_images_are_not_drafted_again(house: House) -> None:
    house.drafted()
    house.deliveries.finish(house.claim_delivery(), DeliveryOutcome.SUCCESS, 0)
    house.arrive(received(2))
    house.complete()
    job = house.claim()
    with house.drafts.open(job) as study:
        assert study.drafted_selection == selection(received(1)).digest != selection(received(2)).digest
    house.drafts.finish(job, Unchanged())
    assert house.state() is StudyState.DELIVERED
    overview = house.queries.overview()
    assert (overview.documents, overview.work["deliveries"]) == (1, {"delivered": 1})


def predecessors(house: House, job: DraftJob) -> Mapping[str, EncodedDocument]:
    with house.drafts.open(job) as study:
        return study.predecessors


def test_the_predecessor_is_the_last_document_of_this_kind_from_an_earlier_revision(
    house: House, tmp_path: Path
) -> None:
    house.arrive(received(1))
    house.complete()
    first = house.claim()
    assert predecessors(house, first) == {}
    house.draft(first, received(1))
    assert predecessors(house, first) == {}
    house.arrive(received(7, study=2))  # another study's draft does not count
    house.arrive(received(2))
    house.complete()
    second, other = sorted((house.claim(), house.claim("another")), key=lambda job: job.study_id)
    house.draft(other)
    assert predecessors(house, second) == {document(1, 1).kind: document(1, 1)}
    (path,) = (tmp_path / "outbox").glob(f"{document(1, 1).sop_instance_uid}-*.dcm")
    path.write_bytes(b"damaged")
    assert predecessors(house, second) == {}


def test_other_images_are_drafted_again_as_another_document(house: House) -> None:
    house.drafted()
    house.deliveries.finish(house.claim_delivery(), DeliveryOutcome.SUCCESS, 0)
    house.arrive(received(2))
    house.complete()
    house.draft(house.claim(), received(2))
    assert house.state() is StudyState.DRAFTED
    second = house.claim_delivery()
    assert house.deliveries.document(second) == document(1, 2)
    house.deliveries.finish(second, DeliveryOutcome.SUCCESS, 0)
    assert house.state() is StudyState.DELIVERED


def test_an_earlier_draft_that_arrives_late_does_not_deliver_the_new_revision(house: House) -> None:
    house.drafted()
    late = house.claim_delivery()
    house.arrive(received(2))
    house.deliveries.finish(late, DeliveryOutcome.SUCCESS, 0)
    assert (house.state(), house.revision()) == (StudyState.RECEIVING, 2)
    house.complete()
    house.drafts.finish(house.claim(), Unchanged())
    assert house.state() is StudyState.DELIVERED


def test_a_transaction_that_fails_changes_nothing(house: House) -> None:
    house.arrive()
    house.complete()
    job = house.claim()
    house.draft(job)
    with pytest.raises(LeaseLost):  # the job is done: a second document of it must not appear
        house.drafts.finish(job, NewDraft([document(1, 1, b"other")], selection(received(1)), MODEL))
    assert house.queries.overview().documents == 1


def test_states_are_stored_as_words(house: House) -> None:
    house.arrive()
    with house.database.read() as session:
        assert session.scalar(text("SELECT state FROM studies")) == "receiving"
        assert session.scalars(select(Study.state)).one() is StudyState.RECEIVING
        assert session.scalars(select(Study.due_at)).one().utcoffset() is not None


def test_show_tells_the_whole_story(house: House) -> None:
    house.drafted()
    house.arrive(received(content=b"conflicting"))
    story = house.queries.show(1)
    assert (story["state"], story["revision"]) == ("receiving", 2)
    assert [len(story[each]) for each in ("instances", "conflicts", "jobs", "documents", "deliveries")] == [
        1,
        1,
        1,
        1,
        1,
    ]
    assert story["documents"][0]["input_sop_instance_uids"] == ["1.2.3.99.1"]
    assert house.queries.recent_studies()[0]["study_id"] == 1
    with pytest.raises(PermanentError):
        house.queries.show(2)


def test_instances_come_back_as_they_were_stored(house: House, tmp_path: Path) -> None:
    house.arrive(received(2))
    house.arrive(received(1))
    house.complete()
    with house.drafts.open(house.claim()) as study:
        stored = study.instances
    assert [each.identity for each in stored] == [received(2).identity, received(1).identity]
    assert [each.data_set_sha256 for each in stored] == [digest(received(2)), digest(received(1))]
    assert stored[0].path == tmp_path / stored_file(received(2)).path


def test_the_schema_is_what_the_tables_say(new_database: Callable[[], Database]) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext

    from echo_node.storage.database.tables import Base

    with new_database().engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_upgrading_twice_changes_nothing(database: Database) -> None:
    from echo_node.storage.database import migrate

    assert migrate.current(database) == migrate.latest() == migrate.upgrade(database)


def test_jobs_of_two_revisions_are_two_rows(house: House) -> None:
    house.drafted()
    house.arrive(received(2))
    house.complete()
    with house.database.read() as session:
        assert sorted(session.scalars(select(Job.revision))) == [1, 2]
