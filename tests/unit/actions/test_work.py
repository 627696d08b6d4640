"""Work as an operator handles it: listed, shown, released, prioritised, paused and resumed."""

from pathlib import Path

import pytest
from support.stored_node import StoredNode
from support.studies import received

from echo_node.actions import work
from echo_node.actions.references import parse_reference
from echo_node.domain.ports import DeliveryOutcome
from echo_node.domain.work.job import JobState
from echo_node.domain.work.lifecycle import StudyState
from echo_node.domain.work.pausable import Pausable
from echo_node.errors import PermanentError
from echo_node.storage.operations.queries import Record


def references(rows: list[Record]) -> list[str]:
    return [row["id"] for row in rows]


def test_a_dead_job_is_listed_first_and_released_with_its_study(node: StoredNode) -> None:
    for number in (1, 2):
        node.house.arrive(received(number, number))
        node.house.complete()
    node.house.jobs.dead_letter(node.house.claim(), "the pixels cannot be decoded")
    rows = work.list_work(node.storage)
    assert [(row["id"], row["state"]) for row in rows] == [("job-1", "dead"), ("job-2", "ready")]
    assert rows[0]["reason"] == "the pixels cannot be decoded"
    assert references(work.list_work(node.storage, dead_only=True)) == ["job-1"]
    assert work.show_study(node.storage, parse_reference("job-1"))["state"] == "failed"
    assert [str(each) for each in work.release(node.storage, parse_reference("1"))] == ["job-1"]
    assert node.house.state() is StudyState.QUEUED
    assert {row["state"] for row in work.list_work(node.storage)} == {JobState.READY}


def test_a_dead_delivery_is_released_by_its_own_reference(node: StoredNode) -> None:
    node.house.drafted()
    node.house.deliveries.dead_letter(node.house.claim_delivery(), "refused: 0xA900")
    (row,) = work.list_work(node.storage, dead_only=True)
    assert (row["id"], row["destination"], row["study_id"]) == ("delivery-1", "pacs", 1)
    node.house.deliveries.finish(node.house.claim_delivery(), DeliveryOutcome.SUCCESS, 0)
    assert node.house.state() is StudyState.UNDELIVERED
    work.release(node.storage, parse_reference("delivery-1"))
    assert node.house.state() is StudyState.DRAFTED


def test_every_dead_letter_of_a_study_is_released_at_once(node: StoredNode) -> None:
    node.house.drafted()
    for _ in range(2):
        node.house.deliveries.dead_letter(node.house.claim_delivery(), "refused: 0xA900")
    released = work.release(node.storage, parse_reference("1"))
    assert [str(each) for each in released] == ["delivery-1", "delivery-2"]
    assert node.house.state() is StudyState.DRAFTED


def test_only_dead_letters_can_be_released(node: StoredNode) -> None:
    node.house.drafted()
    with pytest.raises(PermanentError, match=r"study 1 \(drafted\) has no dead letters"):
        work.release(node.storage, parse_reference("1"))
    for reference in ("job-1", "job-99", "2"):
        with pytest.raises(PermanentError):
            work.release(node.storage, parse_reference(reference))
    assert node.house.state() is StudyState.DRAFTED


def test_finished_work_is_listed_on_request_only(node: StoredNode) -> None:
    node.house.drafted()
    assert references(work.list_work(node.storage)) == ["delivery-2", "delivery-1"]
    with_finished = work.list_work(node.storage, with_finished=True)
    assert references(with_finished) == ["job-1", "delivery-2", "delivery-1"]
    assert references(work.list_work(node.storage, limit=1)) == ["delivery-2"]


def test_a_study_is_shown_with_its_work_and_the_location_of_its_draft(node: StoredNode) -> None:
    node.house.drafted()
    record = work.show_study(node.storage, parse_reference("delivery-2"))
    (draft,) = record["documents"]
    assert Path(draft["path"]).read_bytes() == b"draft"
    assert references(work.work_of(record)) == ["job-1", "delivery-1", "delivery-2"]
    assert {row["study_id"] for row in work.work_of(record)} == {1}
    with pytest.raises(PermanentError, match="there is no study 2"):
        work.show_study(node.storage, parse_reference("2"))


def test_a_study_is_prioritised(node: StoredNode) -> None:
    for number in (1, 2):
        node.house.arrive(received(number, number))
        node.house.complete()
    assert work.prioritise(node.storage, parse_reference("job-2")) == 2
    assert node.house.claim().study_id == 2
    with pytest.raises(PermanentError, match="there is no study 7"):
        work.prioritise(node.storage, parse_reference("7"))


def test_a_pause_lets_work_in_progress_finish_and_is_resumed(node: StoredNode) -> None:
    for number in (1, 2):
        node.house.arrive(received(number, number))
        node.house.complete()
    job = node.house.claim()
    work.pause(node.storage, Pausable.DRAFTING, "upgrade")
    assert [(each.what, each.reason) for each in node.storage.pauses.present()] == [("drafting", "upgrade")]
    assert node.house.jobs.claim("worker") is None
    assert work.in_progress(node.storage, Pausable.DRAFTING) == 1
    assert work.in_progress(node.storage, Pausable.DELIVERY) == 0
    node.house.draft(job)
    assert work.in_progress(node.storage, Pausable.DRAFTING) == 0
    assert work.resume(node.storage, Pausable.DRAFTING)
    assert not work.resume(node.storage, Pausable.DRAFTING)
    assert node.house.jobs.claim("worker") is not None
