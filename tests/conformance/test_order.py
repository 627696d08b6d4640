"""Order of drafting, dead letters and pauses, the same on every database."""

from pathlib import Path

import pytest
from support.house import IDLE_S, LEASE_S, House
from support.studies import received

from echo_node.domain.ports import DeliveryOutcome
from echo_node.domain.work.lifecycle import StudyState
from echo_node.domain.work.pausable import Pausable
from echo_node.errors import PermanentError
from echo_node.storage.database.engine import Database
from echo_node.storage.queues.pauses import Pauses


@pytest.fixture
def house(database: Database, tmp_path: Path) -> House:
    return House(database, tmp_path, urgent=("EMERGENCY",))


def _send(house: House, *studies: int, calling: str = "MODALITY", urgent: bool = False) -> None:
    """Let complete studies of a sender come in, a second apart."""
    for number in studies:
        house.arrive(received(number, number, calling=calling, urgent=urgent))
        house.clock.move(IDLE_S)
        house.studies.complete_due()


def _order(house: House) -> list[int]:
    claimed = []
    while (job := house.jobs.claim("worker")) is not None:
        claimed.append(int(job.study_instance_uid.rpartition(".")[2]))
    return claimed


def test_one_sender_is_served_in_the_order_of_completion(house: House) -> None:
    _send(house, 1, 2, 3)
    assert _order(house) == [1, 2, 3]


def test_who_sends_one_does_not_wait_for_all_of_who_sends_many(house: House) -> None:
    _send(house, 1, 2, 3, 4, calling="MANY")
    _send(house, 5, calling="ONE")
    _send(house, 6, 7, calling="FEW")
    assert _order(house) == [1, 5, 6, 2, 7, 3, 4]


def test_who_comes_late_does_not_get_the_turns_that_it_did_not_use(house: House) -> None:
    _send(house, 1, 2, 3, 4, calling="MANY")
    assert [house.claim().study_id for _ in range(2)] == [1, 2]
    _send(house, 5, 6, 7, calling="LATE")
    assert _order(house) == [3, 5, 4, 6, 7]


def test_after_a_rest_turns_go_on(house: House) -> None:
    _send(house, 1, 2, calling="A")
    assert _order(house) == [1, 2]
    _send(house, 3, 4, calling="A")
    _send(house, 5, calling="B")
    assert _order(house) == [3, 5, 4]


@pytest.mark.parametrize(("calling", "urgent"), [("EMERGENCY", False), ("MODALITY", True)])
def test_the_urgent_are_first(house: House, calling: str, *, urgent: bool) -> None:
    _send(house, 1, 2)
    _send(house, 3, calling=calling, urgent=urgent)
    assert _order(house) == [3, 1, 2]


def test_an_operator_can_hurry_a_study_and_its_later_revisions(house: House) -> None:
    _send(house, 1, 2, 3)
    house.jobs.prioritise(3)
    assert house.claim().study_id == 3
    house.arrive(received(33, 3))
    house.complete()
    assert _order(house) == [3, 1, 2]
    with pytest.raises(PermanentError, match="no study 99"):
        house.jobs.prioritise(99)


def test_a_study_that_kills_its_worker_twice_is_set_aside_while_the_rest_goes_on(house: House) -> None:
    _send(house, 1, 2)
    for _ in range(2):
        assert house.claim("doomed").study_id == 1
        house.clock.move(LEASE_S + 1)
        assert house.jobs.rescue() == 1
    assert house.state(1) is StudyState.FAILED
    assert house.reason(1) == "its worker was lost while drafting (2 times, 2 tries)"
    assert _order(house) == [2]
    house.jobs.release(1)
    house.claim("doomed")
    house.clock.move(LEASE_S + 1)
    house.jobs.rescue()
    assert house.state(1) is StudyState.QUEUED  # released, it has its chances again


@pytest.mark.parametrize(("died_alone", "state"), [("here/infer/7-", "failed"), ("here/infer/8-", "queued")])
def test_going_down_with_the_whole_node_is_no_fault_of_the_study(
    house: House, died_alone: str, state: str
) -> None:
    """A restarted worker (parent 7) tells a sibling of its own run from one of a run before."""
    _send(house, 1)
    for _ in range(2):
        house.claim("here/infer/7-1")
        house.jobs.reclaim_from("here/infer/", died_alone)
    assert house.state() is StudyState(state)


def test_while_drafting_is_paused_nothing_is_claimed_and_all_is_received(house: House) -> None:
    pauses = Pauses(house.database, house.clock)
    _send(house, 1, 2)
    running = house.claim()
    pauses.begin(Pausable.DRAFTING, "upgrade")
    pauses.begin(Pausable.DRAFTING, "again")
    _send(house, 3)
    assert _order(house) == []
    assert house.queries.running(Pausable.DRAFTING) == 1
    house.draft(running)
    assert house.queries.running(Pausable.DRAFTING) == 0
    (paused,) = pauses.present()
    assert (paused.what, paused.reason) == (Pausable.DRAFTING, "upgrade")
    house.deliveries.finish(house.claim_delivery(), DeliveryOutcome.SUCCESS, 0)
    assert pauses.end(Pausable.DRAFTING)
    assert not pauses.end(Pausable.DRAFTING)
    assert _order(house) == [2, 3]


def test_while_delivery_is_paused_drafts_wait(house: House) -> None:
    pauses = Pauses(house.database, house.clock)
    pauses.begin(Pausable.DELIVERY, "the PACS is moved")
    house.drafted()
    assert house.deliveries.claim("sender") is None
    pauses.end(Pausable.DELIVERY)
    assert house.claim_delivery().destination == "PACS"
    assert house.queries.running(Pausable.DELIVERY) == 1
