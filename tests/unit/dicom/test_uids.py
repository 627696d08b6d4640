from __future__ import annotations

import uuid

from hypothesis import given
from hypothesis import strategies as st

from echo_node.dicom.uids import (
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION_NAME,
    device_uid,
    series_uid,
)
from echo_node.domain.identifiers import derived_uid, document_uid, is_valid_uid

parts = st.lists(st.text(max_size=20), max_size=5)


@given(st.text(max_size=10), parts)
def test_a_derived_uid_is_valid_and_a_uuid(purpose: str, given_parts: list[str]) -> None:
    uid = derived_uid(purpose, given_parts)
    assert is_valid_uid(uid)
    made = uuid.UUID(int=int(uid.removeprefix("2.25.")))
    assert made.variant == uuid.RFC_4122
    assert made.version == 8


@given(parts, parts)
def test_different_parts_give_different_uids(left: list[str], right: list[str]) -> None:
    assert (derived_uid("p", left) == derived_uid("p", right)) == (left == right)


def test_parts_do_not_run_together() -> None:
    assert derived_uid("p", ["ab", "c"]) != derived_uid("p", ["a", "bc"])
    assert derived_uid("p", ["a"]) != derived_uid("pa", [])


def test_the_document_depends_on_everything_but_the_order_of_its_inputs() -> None:
    first = document_uid("1.2", 1, "d", "k", ["1.3", "1.4"])
    assert first == document_uid("1.2", 1, "d", "k", ["1.4", "1.3"])
    others = {
        document_uid("1.9", 1, "d", "k", ["1.3", "1.4"]),
        document_uid("1.2", 2, "d", "k", ["1.3", "1.4"]),
        document_uid("1.2", 1, "e", "k", ["1.3", "1.4"]),
        document_uid("1.2", 1, "d", "l", ["1.3", "1.4"]),
        document_uid("1.2", 1, "d", "k", ["1.3"]),
        series_uid("1.2", "d", "k"),
        device_uid("d"),
    }
    assert len(others) == 7
    assert first not in others


def test_the_uid_of_a_draft_never_changes_between_versions() -> None:
    """A node that was updated must resend the same object, so this value never changes."""
    assert document_uid("1.2.3", 1, "ab" * 32, "basic-text-sr", ["1.2.3.4"]) == (
        "2.25.224798274402385133216433137289282765617"
    )


def test_our_own_identity_is_well_formed() -> None:
    assert is_valid_uid(IMPLEMENTATION_CLASS_UID)
    assert 1 <= len(IMPLEMENTATION_VERSION_NAME) <= 16
