"""References to studies and work items, as an operator writes them."""

import pytest

from echo_node.actions.references import WorkReference, parse_reference
from echo_node.domain.work.kinds import COMMITMENT_REQUEST, DELIVERY, JOB, WITHDRAWAL


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("7", WorkReference(None, 7)),
        ("job-12", WorkReference(JOB, 12)),
        ("delivery-3", WorkReference(DELIVERY, 3)),
        ("withdrawal-1", WorkReference(WITHDRAWAL, 1)),
        ("commitment-request-4", WorkReference(COMMITMENT_REQUEST, 4)),
    ],
)
def test_a_reference_is_parsed_and_printed_as_it_was_written(text: str, reference: WorkReference) -> None:
    assert parse_reference(text) == reference
    assert str(reference) == text


def test_a_former_name_of_a_kind_is_accepted() -> None:
    assert parse_reference("promise-4") == WorkReference(COMMITMENT_REQUEST, 4)


@pytest.mark.parametrize("text", ["", "all", "job-", "job-x", "-1", "study-7", "1.5", "9" * 16])
def test_anything_else_is_refused_with_the_valid_forms(text: str) -> None:
    with pytest.raises(ValueError, match="job-N, delivery-N"):
        parse_reference(text)
