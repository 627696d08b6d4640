"""Withdrawal of a study's drafts: its progress at each destination, and the draft after it."""

import pytest
from support.stored_node import StoredNode
from support.studies import received

from echo_node.actions.withdrawal import (
    DraftAtDestination,
    WithdrawalProgress,
    redraft,
    withdraw,
    withdrawal_progress,
)
from echo_node.domain.ports import DeliveryOutcome
from echo_node.domain.work.job import DeliveryState
from echo_node.domain.work.lifecycle import StudyState
from echo_node.domain.work.withdrawal import WithdrawalReason, WithdrawalState
from echo_node.errors import PermanentError


def deliver(node: StoredNode, count: int = 99) -> None:
    while count and (job := node.house.deliveries.claim("sender")) is not None:
        node.house.deliveries.finish(job, DeliveryOutcome.SUCCESS, 0)
        count -= 1


def by_destination(
    progress: WithdrawalProgress,
) -> dict[str, tuple[DraftAtDestination, DeliveryState | None]]:
    return {row.destination: (row.draft, row.note) for row in progress.destinations}


def test_a_withdrawal_is_followed_to_its_end_and_then_drafted_again(node: StoredNode) -> None:
    node.house.drafted()
    deliver(node, 1)
    assert withdraw(node.storage, 1, WithdrawalReason.WORKLIST, "alice")
    begun = withdrawal_progress(node.storage, 1)
    assert (begun.study_state, begun.state) == (StudyState.WITHDRAWING, WithdrawalState.PENDING)
    assert (begun.rejection, begun.asked_by) == (WithdrawalReason.WORKLIST, "alice")
    assert begun.is_under_way
    assert by_destination(begun) == {
        "pacs": (DraftAtDestination.DELIVERED, DeliveryState.PENDING),
        "viewer": (DraftAtDestination.NEVER, None),
    }
    node.house.notes()
    deliver(node)
    assert not withdraw(node.storage, 1, WithdrawalReason.QUALITY, "bob"), "it is withdrawn already"
    ended = withdrawal_progress(node.storage, 1)
    assert (ended.study_state, ended.state) == (StudyState.WITHDRAWN, WithdrawalState.PREPARED)
    assert (ended.rejection, ended.asked_by) == (WithdrawalReason.WORKLIST, "alice")
    assert (ended.is_under_way, ended.has_refused_note) == (False, False)
    assert by_destination(ended)["pacs"] == (DraftAtDestination.DELIVERED, DeliveryState.DELIVERED)
    assert redraft(node.storage, 1) == 2
    with pytest.raises(PermanentError, match="only a withdrawn study"):
        redraft(node.storage, 1)


def test_a_draft_that_is_being_sent_may_arrive(node: StoredNode) -> None:
    node.house.drafted()
    job = node.house.claim_delivery()
    withdraw(node.storage, 1, WithdrawalReason.PATIENT_SAFETY, "alice")
    progress = withdrawal_progress(node.storage, 1)
    assert by_destination(progress)["pacs"] == (DraftAtDestination.SENDING, DeliveryState.PENDING)
    node.house.deliveries.retry(job, "no answer", node.house.clock.now())
    progress = withdrawal_progress(node.storage, 1)
    assert by_destination(progress)["pacs"] == (DraftAtDestination.PERHAPS, DeliveryState.PENDING)


def test_a_refused_note_waits_for_an_operator(node: StoredNode) -> None:
    node.house.drafted()
    deliver(node)
    withdraw(node.storage, 1, WithdrawalReason.PATIENT_SAFETY, "alice")
    node.house.notes()
    node.house.deliveries.dead_letter(node.house.claim_delivery(), "0xA900")
    assert withdrawal_progress(node.storage, 1).is_under_way, "the other note is still pending"
    deliver(node)
    progress = withdrawal_progress(node.storage, 1)
    assert (progress.is_under_way, progress.has_refused_note) == (False, True)
    assert progress.study_state is StudyState.WITHDRAWING


def test_a_study_without_a_delivered_draft_needs_no_note(node: StoredNode) -> None:
    node.house.arrive(received())
    withdraw(node.storage, 1, WithdrawalReason.QUALITY, "a" * 200)
    progress = withdrawal_progress(node.storage, 1)
    assert progress.destinations == ()
    assert progress.asked_by == "a" * 128
    with pytest.raises(PermanentError, match="there is no study 9"):
        withdraw(node.storage, 9, WithdrawalReason.QUALITY, "alice")
