"""Withdrawal: nothing is sent afterwards; each destination that may have it is notified once."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.house import LEASE_S, House
from support.studies import MODEL, document, received, selection

from echo_node.domain.drafts.report import EncodedDocument
from echo_node.domain.ports import DeliveryOutcome
from echo_node.domain.work.commitment import CommitmentReport
from echo_node.domain.work.drafting import NewDraft
from echo_node.domain.work.job import DeliveryJob
from echo_node.domain.work.kinds import COMMITMENT
from echo_node.domain.work.lifecycle import StudyState
from echo_node.domain.work.withdrawal import IdentityConflict, NoteKind, WithdrawalReason
from echo_node.errors import LeaseLost, PermanentError, TransientError
from echo_node.storage.database.engine import Database
from echo_node.storage.queues.commitment_questions import Peers
from echo_node.storage.queues.commitments import CommitmentQueue

TEXT, PDF, ORU = "basic-text-sr", "encapsulated-pdf", "oru-r01"
DESTINATIONS = {"PACS": (TEXT, PDF), "RIS": (ORU,), "VIEWER": (TEXT,)}
SAFETY = WithdrawalReason.PATIENT_SAFETY


@pytest.fixture
def house(database: Database, tmp_path: Path) -> House:
    return House(database, tmp_path, DESTINATIONS)


def forms(revision: int = 1) -> list[EncodedDocument]:
    made = [document(1, revision, kind.encode(), kind) for kind in (TEXT, PDF)]
    return [*made, EncodedDocument(ORU, "1.2.3.1", f"1.2.3.1.88.{revision}", "", "", b"MSH|")]


def draft(house: House, revision: int = 1) -> None:
    house.arrive(received(revision))
    house.complete()
    house.drafts.finish(house.claim(), NewDraft(forms(revision), selection(received(revision)), MODEL))


def claimed(house: House) -> list[DeliveryJob]:
    jobs = []
    while (job := house.deliveries.claim("sender")) is not None:
        jobs.append(job)
    return jobs


def deliver(house: House) -> list[tuple[str, str, bytes]]:
    """Make all deliveries that are due; return each document with its destination."""
    sent = []
    for job in claimed(house):
        made = house.deliveries.document(job)
        sent.append((job.destination, made.kind, made.content))
        house.deliveries.finish(job, DeliveryOutcome.SUCCESS, 0)
    return sorted(sent)


def retract(house: House, reason: WithdrawalReason = SAFETY) -> bool:
    return house.withdrawals.withdraw(1, reason, "alice@console")


def states(house: House) -> list[str]:
    return sorted(row["state"] for row in house.queries.show(1)["deliveries"])


def uids(*kinds: str, revision: int = 1) -> str:
    return " ".join(each.sop_instance_uid for each in forms(revision) if each.kind in kinds)


def test_each_destination_that_has_a_draft_gets_a_note_of_just_what_it_has(house: House) -> None:
    draft(house)
    deliver(house)
    assert retract(house)
    assert house.state() is StudyState.WITHDRAWING
    assert house.notes() == 1
    note = f"{SAFETY} "
    assert deliver(house) == [
        ("PACS", NoteKind.REJECTION_NOTE, (note + uids(TEXT, PDF)).encode()),
        ("RIS", NoteKind.ORU_R01_WITHDRAWAL, (note + uids(ORU)).encode()),
        ("VIEWER", NoteKind.REJECTION_NOTE, (note + uids(TEXT)).encode()),
    ]
    assert house.state() is StudyState.WITHDRAWN
    assert house.reason() == "withdrawn (patient-safety) by alice@console"
    assert house.queries.overview().documents == 3, "notes are no drafts"


def test_what_was_never_sent_is_stopped_and_needs_no_note(house: House) -> None:
    draft(house)
    assert retract(house)
    assert house.state() is StudyState.WITHDRAWN
    assert claimed(house) == []
    assert house.notes() == 0
    assert states(house) == ["stopped"] * 4


def test_asking_twice_withdraws_once(house: House) -> None:
    draft(house)
    deliver(house)
    assert [retract(house), retract(house, WithdrawalReason.QUALITY)] == [True, False]
    assert house.notes() == 1
    assert len(deliver(house)) == 3
    assert not retract(house)
    assert (house.notes(), deliver(house)) == (0, [])
    (withdrawal,) = house.queries.show(1)["withdrawals"]
    assert (withdrawal["asked_by"], withdrawal["rejection"], withdrawal["state"]) == (
        "alice@console", SAFETY, "prepared",
    )  # fmt: skip


def test_two_destinations_with_the_same_share_a_note(database: Database, tmp_path: Path) -> None:
    house = House(database, tmp_path, {"PACS": (TEXT,), "VIEWER": (TEXT,)})
    draft(house)
    deliver(house)
    retract(house)
    house.notes()
    first, second = deliver(house)
    assert first[1:] == second[1:]
    assert sum(row["is_note"] for row in house.queries.show(1)["documents"]) == 1


@pytest.mark.parametrize("ending", ["finish", "retry", "dead_letter", "release_claim", "lost"])
def test_no_note_overtakes_a_draft_that_is_being_sent(house: House, ending: str) -> None:
    draft(house)
    in_hand, *others = claimed(house)
    for job in others:
        house.deliveries.finish(job, DeliveryOutcome.SUCCESS, 0)
    assert retract(house)
    assert house.notes() == 0, "a draft may still arrive"
    deliveries = house.deliveries
    if ending == "finish":
        deliveries.finish(in_hand, DeliveryOutcome.SUCCESS, 0)
    elif ending == "retry":
        deliveries.retry(in_hand, "no answer", house.clock.now())
    elif ending == "dead_letter":
        deliveries.dead_letter(in_hand, "refused")
    elif ending == "release_claim":
        deliveries.release_claim(in_hand)
    else:
        house.clock.move(LEASE_S + 1)
        assert deliveries.rescue() == 1
        with pytest.raises(LeaseLost):
            deliveries.finish(in_hand, DeliveryOutcome.SUCCESS, 0)
    assert house.notes() == 1
    sent = deliver(house)
    assert not [kind for _, kind, _ in sent if kind not in set(NoteKind)], "a withdrawn draft was sent again"
    told = [(name, uid) for name, _, content in sent for uid in content.decode().split()[1:]]
    everything = [
        (name, each.sop_instance_uid)
        for name, kinds in DESTINATIONS.items()
        for each in forms()
        if each.kind in kinds
    ]
    assert sorted(told) == sorted(everything), "each is told of each draft once"
    assert house.state() is StudyState.WITHDRAWN


def test_what_perhaps_arrived_has_a_note_of_its_own(house: House) -> None:
    """An archive that refuses a note for an unknown object must still accept the other notes."""
    draft(house)
    for job in claimed(house):
        if job.destination == "PACS" and house.deliveries.document(job).kind == PDF:
            house.deliveries.retry(job, "the answer was lost", house.clock.now())
        else:
            house.deliveries.finish(job, DeliveryOutcome.SUCCESS, 0)
    retract(house)
    house.notes()
    contents = [content.decode() for name, _, content in deliver(house) if name == "PACS"]
    assert sorted(contents) == sorted(f"{SAFETY} {uids(kind)}" for kind in (TEXT, PDF))


def test_a_dead_letter_of_a_withdrawn_draft_cannot_be_released(house: House) -> None:
    draft(house)
    first = house.claim_delivery()
    house.deliveries.dead_letter(first, "refused")
    retract(house)
    with pytest.raises(PermanentError):
        house.deliveries.release(first.lease.row_id)
    assert not {"pending", "dead"} & set(states(house))


def test_a_worker_that_drafts_meanwhile_has_lost_the_job(house: House) -> None:
    house.arrive()
    house.complete()
    job = house.claim()
    assert retract(house)
    with pytest.raises(LeaseLost):
        house.drafts.finish(job, NewDraft(forms(), selection(received()), MODEL))
    assert house.queries.overview().documents == 0
    assert house.state() is StudyState.WITHDRAWN


def test_a_late_image_is_kept_and_drafts_nothing_until_the_operator_asks(house: House) -> None:
    draft(house)
    deliver(house)
    retract(house)
    house.notes()
    deliver(house)
    house.arrive(received(2))
    house.complete()
    assert house.jobs.claim("worker") is None
    assert (house.state(), house.revision()) == (StudyState.WITHDRAWN, 1)
    assert house.reason() == "withdrawn (patient-safety) by alice@console"
    assert house.withdrawals.redraft(1) == 2
    job = house.claim()
    assert job.revision == 2
    with house.drafts.open(job) as study:
        assert study.drafted_selection is None, "the draft of these images was withdrawn"
        assert study.predecessors == {}
    house.drafts.finish(job, NewDraft(forms(2), selection(received(2)), MODEL))
    assert [(name, kind) for name, kind, _ in deliver(house)] == [
        ("PACS", TEXT), ("PACS", PDF), ("RIS", ORU), ("VIEWER", TEXT),
    ]  # fmt: skip
    assert house.state() is StudyState.DELIVERED


def test_the_second_withdrawal_names_the_second_draft_alone(house: House) -> None:
    draft(house)
    deliver(house)
    retract(house)
    house.withdrawals.redraft(1)
    house.drafts.finish(house.claim(), NewDraft(forms(2), selection(received(1)), MODEL))
    assert house.notes() == 1, "the first withdrawal goes on beside the new draft"
    deliver(house)
    assert house.state() is StudyState.DELIVERED
    assert retract(house, WithdrawalReason.QUALITY)
    assert house.notes() == 1
    expected = f"{WithdrawalReason.QUALITY} {uids(TEXT, PDF, revision=2)}".encode()
    assert ("PACS", NoteKind.REJECTION_NOTE, expected) in deliver(house)
    assert house.state() is StudyState.WITHDRAWN


def test_only_a_withdrawn_study_is_drafted_anew(house: House) -> None:
    draft(house)
    with pytest.raises(PermanentError, match="only a withdrawn study"):
        house.withdrawals.redraft(1)
    with pytest.raises(PermanentError, match="there is no study 7"):
        house.withdrawals.withdraw(7, SAFETY, "alice")


def test_all_revisions_that_were_delivered_are_named(house: House) -> None:
    for revision in (1, 2):
        draft(house, revision)
        deliver(house)
    retract(house)
    house.notes()
    expected = " ".join([SAFETY, uids(TEXT, PDF), uids(TEXT, PDF, revision=2)])
    assert ("PACS", NoteKind.REJECTION_NOTE, expected.encode()) in deliver(house)


def test_a_note_that_is_refused_is_seen_and_released(house: House) -> None:
    draft(house)
    deliver(house)
    retract(house)
    house.notes()
    refused, *others = claimed(house)
    for job in others:
        house.deliveries.finish(job, DeliveryOutcome.SUCCESS, 0)
    house.deliveries.dead_letter(refused, "0xA900")
    assert house.state() is StudyState.WITHDRAWING
    assert "a destination refused the note" in (house.reason() or "")
    house.deliveries.release(refused.lease.row_id)
    assert "did not take" not in (house.reason() or "")
    deliver(house)
    assert house.state() is StudyState.WITHDRAWN


def test_a_worker_that_dies_while_it_makes_notes_leaves_none_and_another_makes_them(house: House) -> None:
    draft(house)
    deliver(house)
    retract(house)
    job = house.withdrawals.claim("dies")
    assert job is not None
    house.clock.move(LEASE_S + 1)
    assert house.withdrawals.rescue() == 1
    assert house.notes() == 1
    with pytest.raises(LeaseLost):
        house.withdrawals.store(job, [])
    assert len(deliver(house)) == 3


def test_notes_that_cannot_be_written_leave_none_of_them(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draft(house)
    deliver(house)
    retract(house)
    before, put = len(list((tmp_path / "outbox").rglob("*"))), house.outbox.put

    def full(made: EncodedDocument) -> Path:
        if made.kind == NoteKind.ORU_R01_WITHDRAWAL:
            raise TransientError("the disk is full")
        return put(made)

    monkeypatch.setattr(house.outbox, "put", full)
    with pytest.raises(TransientError):
        house.notes()
    monkeypatch.undo()
    assert len(list((tmp_path / "outbox").rglob("*"))) == before
    house.clock.move(LEASE_S + 1)
    house.withdrawals.rescue()
    assert (house.notes(), len(deliver(house))) == (1, 3)


def test_a_conflict_that_the_node_sees_withdraws_what_was_delivered(house: House) -> None:
    draft(house)
    deliver(house)
    house.arrive(received(2))
    house.complete()
    job = house.claim()
    with house.drafts.open(job) as study:
        standing = study.standing
    assert [each.kind for each in standing.documents] == [TEXT, PDF, ORU]
    assert standing.late == {"1.2.3.99.2"}
    house.drafts.finish(job, IdentityConflict(WithdrawalReason.WORKLIST, "the patient ID differs"))
    assert house.state() is StudyState.WITHDRAWING
    assert house.reason() == "withdrawn (worklist): the patient ID differs"
    house.notes()
    assert len(deliver(house)) == 3
    with pytest.raises(LeaseLost):
        house.jobs.skip(job, "again")


class TestCommitment:
    @pytest.fixture
    def commitments(self, house: House) -> CommitmentQueue:
        house.deliveries._committing = frozenset({"PACS"})
        numbers = iter(range(1, 99))
        peers = Peers({"PACS": "PACS"}, 100.0, lambda: f"2.25.{next(numbers)}")
        return CommitmentQueue(house.context, peers)

    def test_a_peer_that_lost_a_withdrawn_draft_is_not_sent_it_again(
        self, house: House, commitments: CommitmentQueue
    ) -> None:
        draft(house)
        deliver(house)
        asked = commitments.claim("asker")
        assert asked is not None
        retract(house)
        lost = CommitmentReport(
            asked.transaction_uid, frozenset(), {asked.instances[0].sop_instance_uid: 0x0112}
        )
        commitments.report(lost, "PACS")
        assert house.queries.list_work(COMMITMENT) == [], "nobody is to keep a withdrawn draft"
        house.notes()
        assert {kind for _, kind, _ in deliver(house)} <= set(NoteKind)

    def test_a_note_is_committed_to_like_a_draft(self, house: House, commitments: CommitmentQueue) -> None:
        draft(house)
        deliver(house)
        retract(house)
        house.notes()
        deliver(house)
        assert house.state() is StudyState.WITHDRAWN
        asked = commitments.claim("asker")
        assert asked is not None
        (note,) = asked.instances
        commitments.report(
            CommitmentReport(asked.transaction_uid, frozenset(), {note.sop_instance_uid: 0x0112}), "PACS"
        )
        assert house.state() is StudyState.WITHDRAWING
        house.clock.move(200)
        assert [(name, kind) for name, kind, _ in deliver(house)] == [("PACS", NoteKind.REJECTION_NOTE)]
        assert house.state() is StudyState.WITHDRAWN
