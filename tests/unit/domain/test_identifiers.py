import pytest
from hypothesis import given
from hypothesis import strategies as st

from echo_node.domain.identifiers import checked_uid, is_usable_uid, is_valid_uid, uid_fault


@given(st.lists(st.integers(0, 10**9), min_size=2, max_size=6))
def test_dotted_numbers_are_uids(numbers: list[int]) -> None:
    uid = ".".join(map(str, numbers))
    assert is_valid_uid(uid) == (len(uid) <= 64)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "1",
        "1.",
        ".1",
        "1..2",
        "1.02",
        "../../etc",
        "1.2/3",
        "1.2\n",
        "1.2\0",
        "1.2 ",
        "\u0661.\u0662",
        "1" * 65,
    ],
)
def test_anything_else_is_not(value: str) -> None:
    assert not is_valid_uid(value)
    assert uid_fault(value)
    with pytest.raises(ValueError, match=f"^SOPInstanceUID {uid_fault(value)}$"):
        checked_uid(value, "SOPInstanceUID", strict=True)


def test_the_message_does_not_repeat_what_the_peer_sent() -> None:
    with pytest.raises(ValueError, match="StudyInstanceUID") as caught:
        checked_uid("DOE^JOHN", "StudyInstanceUID", strict=False)
    assert "DOE" not in str(caught.value)


def test_a_uid_is_returned_as_it_is() -> None:
    assert checked_uid("1.2.840", "StudyInstanceUID", strict=True) == "1.2.840"
    assert checked_uid("1.2.0840", "StudyInstanceUID", strict=False) == "1.2.0840"


@given(st.text("0123456789.", max_size=140))
def test_digits_and_dots_are_usable_from_the_first_digit_on(value: str) -> None:
    assert is_usable_uid(value) == (value[:1] not in {"", "."} and len(value) <= 128)
    assert is_usable_uid(value) or not is_valid_uid(value)
    assert bool(uid_fault(value)) != is_valid_uid(value)


@pytest.mark.parametrize("value", ["1.2.3x", "1/2", "1.2 ", "1.2\n", "\u0661.\u0662", "..", ""])
def test_other_characters_are_never_a_uid(value: str) -> None:
    assert not is_usable_uid(value)
