import pytest
from hypothesis import given
from hypothesis import strategies as st

from echo_node.domain.work.lifecycle import (
    TRANSITIONS,
    IllegalTransition,
    StudyEvent,
    StudyState,
    next_state,
)

_PAIRS = {(each.source, each.event): each.target for each in TRANSITIONS}


@given(st.sampled_from(StudyState), st.sampled_from(StudyEvent))
def test_only_what_the_table_says_can_follow(state: StudyState, event: StudyEvent) -> None:
    if (state, event) in _PAIRS:
        assert next_state(state, event) is _PAIRS[state, event]
    else:
        with pytest.raises(IllegalTransition):
            next_state(state, event)


def test_the_table_is_a_function() -> None:
    assert len(_PAIRS) == len(TRANSITIONS)


_WITHDRAWN = {StudyState.WITHDRAWING, StudyState.WITHDRAWN}


def test_a_new_image_is_welcome_in_every_state_and_changes_nothing_of_a_withdrawn_study() -> None:
    for state in StudyState:
        expected = state if state in _WITHDRAWN else StudyState.RECEIVING
        assert next_state(state, StudyEvent.INSTANCE_ARRIVED) is expected


def test_every_study_can_be_withdrawn_and_only_an_operator_has_it_drafted_anew() -> None:
    for state in set(StudyState) - _WITHDRAWN:
        assert next_state(state, StudyEvent.WITHDRAWN) is StudyState.WITHDRAWING
    ways_out = {
        each.event for each in TRANSITIONS if each.source in _WITHDRAWN and each.target not in _WITHDRAWN
    }
    assert ways_out == {StudyEvent.REDRAFT, StudyEvent.RESOLVED}


def test_every_state_can_be_reached_and_left() -> None:
    assert {each.target for each in TRANSITIONS} == set(StudyState)
    assert {each.source for each in TRANSITIONS} == set(StudyState)


def test_every_event_happens_somewhere() -> None:
    assert {each.event for each in TRANSITIONS} == set(StudyEvent)


@given(st.lists(st.sampled_from(StudyEvent), max_size=40))
def test_from_wherever_it_got_a_study_can_still_be_delivered(events: list[StudyEvent]) -> None:
    state = StudyState.RECEIVING
    for event in events:
        state = _PAIRS.get((state, event), state)
    state = _PAIRS.get((state, StudyEvent.REDRAFT), state)
    for event in (
        StudyEvent.INSTANCE_ARRIVED,
        StudyEvent.COMPLETED,
        StudyEvent.CLAIMED,
        StudyEvent.DRAFT_STORED,
        StudyEvent.ALL_DELIVERED,
    ):
        state = next_state(state, event)
    assert state is StudyState.DELIVERED
