import pytest

from echo_node.domain.work.kinds import COMMITMENT_REQUEST, JOB, KINDS, WorkKind, kind_named, steps_of
from echo_node.domain.work.pausable import Pausable


@pytest.mark.parametrize("kind", KINDS.values(), ids=str)
def test_every_row_of_the_table_names_states_of_its_own(kind: WorkKind) -> None:
    named = {
        kind.dead,
        *kind.finished,
        *(state for step in kind.steps for state in (step.ready, step.running)),
    }
    assert named <= set(kind.states)
    assert kind.dead not in kind.finished


def test_topics_are_those_of_earlier_versions() -> None:
    topics = [step.topic for kind in KINDS.values() for step in kind.steps]
    assert topics == ["jobs", "deliveries", "commitments", "promises", "answers", "withdrawals"]


def test_a_kind_is_found_by_its_name_and_by_its_former_name() -> None:
    assert (kind_named("job"), kind_named("commitment-request")) == (JOB, COMMITMENT_REQUEST)
    assert kind_named("promise") is COMMITMENT_REQUEST
    assert kind_named("promises") is None


def test_a_pause_stops_all_steps_of_its_kinds() -> None:
    steps = {step for pausable in Pausable for step in steps_of(pausable)}
    assert steps == {step for kind in KINDS.values() for step in kind.steps}


def test_the_ids_of_a_kind() -> None:
    assert (JOB.id_of(7), JOB.id_key) == ("job-7", "job_id")
    assert (COMMITMENT_REQUEST.id_of(7), COMMITMENT_REQUEST.id_key) == (
        "commitment-request-7",
        "commitment_request_id",
    )
    assert COMMITMENT_REQUEST.label == "commitment requests"
    assert COMMITMENT_REQUEST.plurals == ("commitment_requests", "promises")
