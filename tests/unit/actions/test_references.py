"""References to studies and work items, as an operator writes them."""

import pytest

from echo_node.actions.references import WorkReference, parse_reference


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("7", WorkReference(None, 7)),
        ("job-12", WorkReference("job", 12)),
        ("delivery-3", WorkReference("delivery", 3)),
        ("withdrawal-1", WorkReference("withdrawal", 1)),
    ],
)
def test_a_reference_is_parsed_and_printed_as_it_was_written(text: str, reference: WorkReference) -> None:
    assert parse_reference(text) == reference
    assert str(reference) == text


@pytest.mark.parametrize("text", ["", "all", "job-", "job-x", "-1", "study-7", "1.5", "9" * 16])
def test_anything_else_is_refused_with_the_valid_forms(text: str) -> None:
    with pytest.raises(ValueError, match="job-N, delivery-N"):
        parse_reference(text)
