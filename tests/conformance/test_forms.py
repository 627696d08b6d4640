"""A draft in several forms: stored together or not at all, each delivered to who asked for it."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.house import House
from support.studies import MODEL, document, received, selection

from echo_node.domain.drafts.report import EncodedDocument
from echo_node.domain.ports import DeliveryOutcome
from echo_node.domain.work.drafting import NewDraft
from echo_node.domain.work.job import DeliveryJob
from echo_node.domain.work.lifecycle import StudyState
from echo_node.errors import LeaseLost, TransientError
from echo_node.storage.database.engine import Database

TEXT, PDF, ORU = "basic-text-sr", "encapsulated-pdf", "oru-r01"
DESTINATIONS = {"PACS": (TEXT, PDF), "RIS": (ORU,), "VIEWER": (PDF,)}


@pytest.fixture
def house(database: Database, tmp_path: Path) -> House:
    return House(database, tmp_path, DESTINATIONS)


def forms(revision: int = 1) -> list[EncodedDocument]:
    made = [document(1, revision, kind.encode(), kind) for kind in (TEXT, PDF)]
    message = EncodedDocument(ORU, "1.2.3.1", f"1.2.3.1.88.{revision}", "", "", b"MSH|")
    return [*made, message]


def drafted(house: House) -> None:
    house.arrive()
    house.complete()
    house.drafts.finish(house.claim(), NewDraft(forms(), selection(received()), MODEL))


def claimed(house: House) -> list[DeliveryJob]:
    jobs = []
    while (job := house.deliveries.claim("sender")) is not None:
        jobs.append(job)
    return jobs


def files(folder: Path) -> list[str]:
    return sorted(path.suffix for path in (folder / "outbox").rglob("*") if path.is_file())


def test_each_destination_gets_the_kinds_that_it_asked_for(house: House, tmp_path: Path) -> None:
    drafted(house)
    jobs = claimed(house)
    assert sorted((job.destination, house.deliveries.document(job).kind) for job in jobs) == [
        ("PACS", TEXT), ("PACS", PDF), ("RIS", ORU), ("VIEWER", PDF),
    ]  # fmt: skip
    documents = [house.deliveries.document(job) for job in jobs]
    assert {each.kind: each for each in documents} == {each.kind: each for each in forms()}
    assert files(tmp_path) == [".dcm", ".dcm", ".hl7"]


def test_a_study_is_delivered_when_all_have_all(house: House) -> None:
    drafted(house)
    *most, last = claimed(house)
    for job in most:
        house.deliveries.finish(job, DeliveryOutcome.SUCCESS, 0)
    assert house.state() is StudyState.DRAFTED
    house.deliveries.finish(last, DeliveryOutcome.SUCCESS, 0)
    assert house.state() is StudyState.DELIVERED


def test_one_refused_form_makes_the_study_undelivered_and_is_released_alone(house: House) -> None:
    drafted(house)
    first, *others = claimed(house)
    for job in others:
        house.deliveries.finish(job, DeliveryOutcome.SUCCESS, 0)
    house.deliveries.dead_letter(first, "refused")
    assert house.state() is StudyState.UNDELIVERED
    house.deliveries.release(first.lease.row_id)
    again = house.claim_delivery()
    assert house.deliveries.document(again) == house.deliveries.document(first)
    house.deliveries.finish(again, DeliveryOutcome.SUCCESS, 0)
    assert house.state() is StudyState.DELIVERED


def test_a_form_that_cannot_be_written_leaves_none(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.arrive()
    house.complete()
    job, put = house.claim(), house.outbox.put

    def full(made: EncodedDocument) -> Path:
        if made.kind == ORU:
            raise TransientError("the disk is full")
        return put(made)

    monkeypatch.setattr(house.outbox, "put", full)
    with pytest.raises(TransientError):
        house.drafts.finish(job, NewDraft(forms(), selection(received()), MODEL))
    assert files(tmp_path) == []
    assert house.queries.overview().documents == 0
    monkeypatch.undo()
    house.drafts.finish(job, NewDraft(forms(), selection(received()), MODEL))
    assert house.queries.overview().documents == 3


def test_a_lost_claim_leaves_no_form(house: House, tmp_path: Path) -> None:
    house.arrive()
    house.complete()
    job = house.claim()
    house.arrive(received(2))
    with pytest.raises(LeaseLost):
        house.drafts.finish(job, NewDraft(forms(), selection(received()), MODEL))
    assert files(tmp_path) == []


def test_a_draft_that_waits_goes_to_a_new_destination_in_the_kinds_that_it_has(
    database: Database, tmp_path: Path
) -> None:
    house = House(database, tmp_path, {})
    house.drafted()
    assert house.deliveries.create_missing({"RIS": (ORU,)}) == 0
    assert house.deliveries.create_missing(DESTINATIONS) == 1
    assert house.claim_delivery().destination == "PACS"


def test_a_new_revision_names_the_document_of_its_own_kind(house: House) -> None:
    drafted(house)
    house.arrive(received(2))
    house.complete()
    job = house.claim()
    with house.drafts.open(job) as study:
        assert study.predecessors == {each.kind: each for each in forms()}
