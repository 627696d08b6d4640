"""Text into HL7 and back: no value can be mistaken for a separator or for the end of a frame."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st
from support.mllp import unescaped

from echo_node.hl7.message import components, escaped, message, segment


@given(st.text(st.characters(codec=None)))
def test_any_text_comes_back(text: str) -> None:
    sent = escaped(text)
    assert not set(sent) & set("|^~&\r\n\x0b\x1c")
    expected = "".join(
        each
        for each in text.replace("\r\n", "\n")
        if each in "\n\r\t" or unicodedata.category(each) not in {"Cc", "Cs"}
    )
    assert unescaped(sent) == expected
    message([sent]).decode()


def test_fields_stand_where_they_are_numbered_and_empty_ends_are_left_out() -> None:
    assert segment("PID", {1: "1", 3: components("47|11", "", "", "HOSP")}) == "PID|1||47\\F\\11^^^HOSP"
    assert components("", "", "") == ""
    assert message(["MSH|x", "PID|1"]) == b"MSH|x\rPID|1\r"
