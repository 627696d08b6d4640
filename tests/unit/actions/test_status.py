"""Status of a node: every state has its count, and dead letters are noticed."""

from support.stored_node import StoredNode
from support.studies import received

from echo_node.actions import work
from echo_node.actions.status import node_status
from echo_node.domain.ports import DeliveryOutcome
from echo_node.domain.work.lifecycle import StudyState
from echo_node.domain.work.pausable import Pausable


def test_an_empty_node_counts_every_state_as_zero(node: StoredNode) -> None:
    status = node_status(node.storage, 20)
    assert set(status.studies) == set(StudyState)
    assert sum(status.studies.values()) == 0
    assert status.work["deliveries"]["dead"] == 0
    assert (status.instances, status.documents, status.conflicts) == (0, 0, 0)
    assert (status.recent, status.paused, status.disputed) == ([], [], [])
    assert not status.has_dead_letters


def test_dead_letters_pauses_and_conflicts_are_in_the_status(node: StoredNode) -> None:
    node.house.drafted()
    assert not node_status(node.storage, 20).has_dead_letters
    node.house.deliveries.dead_letter(node.house.claim_delivery(), "refused: 0xA900")
    node.house.deliveries.finish(node.house.claim_delivery(), DeliveryOutcome.SUCCESS, 0)
    node.house.arrive(received(2, 2))
    node.house.arrive(received(2, 2, content=b"other"))
    work.pause(node.storage, Pausable.DELIVERY, "upgrade")
    status = node_status(node.storage, 1)
    assert (status.studies["undelivered"], status.work["deliveries"]["dead"]) == (1, 1)
    assert status.has_dead_letters
    assert (status.conflicts, status.disputed) == (1, [2])
    assert [each.reason for each in status.paused] == ["upgrade"]
    assert len(status.recent) == 1
    assert (status.instances, status.documents) == (2, 1)
