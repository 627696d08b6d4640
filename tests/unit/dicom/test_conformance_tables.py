from __future__ import annotations

import pytest
from conformance_tables import PAGE, render, tables

from echo_node.dicom.contexts import contexts
from echo_node.dicom.documents.draft_object import FIRST_SERIES_NUMBER
from echo_node.dicom.statuses import Verdict, classify
from echo_node.domain.drafts.draft import BANNER
from echo_node.settings import DocumentKind


@pytest.fixture(scope="module")
def statement() -> str:
    return PAGE.read_text(encoding="utf-8")


def test_the_tables_are_those_of_the_program(statement: str) -> None:
    assert render(statement) == statement, "run `make reference`"
    for name in tables():
        assert f"<!-- table: {name} -->" in statement


def test_every_class_and_syntax_is_stated(statement: str) -> None:
    known = contexts()
    rows = [(known.verification.name, known.verification.uid), (known.query.name, known.query.uid)]
    rows += [(each.name, each.uid) for each in known.storage]
    rows += [(each.name, each.uid) for each in known.sent]
    rows += [(each.name, each.uid) for each in known.transfer_syntaxes]
    for name, uid in rows:
        assert f"| {name} | {uid} |" in statement


def test_a_table_that_was_edited_by_hand_is_noticed(statement: str) -> None:
    assert render(statement.replace("RLE Lossless", "RLE")) == statement


def test_what_is_said_of_the_draft_and_of_statuses(statement: str) -> None:
    assert f"`{BANNER}`: the Series Description" in statement
    for number, kind in enumerate(DocumentKind, start=FIRST_SERIES_NUMBER):
        (row,) = [line for line in statement.splitlines() if line.startswith(f"| `{kind}`")]
        assert (str(number) in row) is (kind is not DocumentKind.ORU_R01)
    verdicts = {
        "delivered with a warning": 0xB000,
        "delivered: the peer has": 0x0111,
        "retried with back-off": 0xA700,
        "a dead letter at once": 0xC000,
    }
    expected = [Verdict.STORED_WITH_WARNING, Verdict.STORED_WITH_WARNING, Verdict.TRY_AGAIN, Verdict.REFUSED]
    assert [classify(status) for status in verdicts.values()] == expected
    assert all(line in statement for line in verdicts)
