"""A correction names what was sent, says that it was wrong, and repeats none of its text."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path

import pytest
from support import drafts
from support.mllp import unescaped

from echo_node.domain.drafts.draft import BANNER, compose
from echo_node.domain.drafts.report import EncodedDocument
from echo_node.domain.work.withdrawal import NoteKind, WithdrawalReason, WithdrawnDrafts
from echo_node.errors import PermanentError
from echo_node.hl7.correction import CorrectionEncoder
from echo_node.hl7.message import parsed
from echo_node.hl7.oru import OruEncoder

_LATER = drafts.AT.replace(hour=9)


def rejected(
    sent: EncodedDocument, reason: WithdrawalReason = WithdrawalReason.PATIENT_SAFETY
) -> WithdrawnDrafts:
    return WithdrawnDrafts((sent,), ("ris",), reason, _LATER)


def fields(content: bytes, name: str) -> list[dict[int, str]]:
    return [found for segment, found in parsed(content) if segment == name]


@pytest.mark.parametrize("language", drafts.LANGUAGES)
@pytest.mark.parametrize("header", drafts.HEADERS)
def test_it_is_the_message_again_without_its_text(tmp_path: Path, language: str, header: str) -> None:
    draft = drafts.draft_of(drafts.image(tmp_path / "x.dcm", language, header), drafts.report(language))
    sent = OruEncoder("ECHO_NODE", zone=UTC).encode(draft)
    note = CorrectionEncoder(zone=UTC).encode(rejected(sent))
    assert note.kind == NoteKind.ORU_R01_WITHDRAWAL
    assert not note.is_dicom
    for name in ("SFT", "PID"):
        assert fields(note.content, name) == fields(sent.content, name)
    (before,), (after,) = fields(sent.content, "MSH"), fields(note.content, "MSH")
    assert {number for number in before if before[number] != after[number]} == {6, 9}
    for was, now in zip(fields(sent.content, "OBR"), fields(note.content, "OBR"), strict=True):
        assert now == was | {22: "20260102090405+0000", 25: "C"}
    observations = list(zip(fields(sent.content, "OBX"), fields(note.content, "OBX"), strict=True))
    for was, now in observations:
        assert [now[number] for number in range(1, 5)] == [was[number] for number in range(1, 5)]
        assert now[5] == (was[5] if was[2] == "HD" else "")
        assert (was[11], now[11]) == ("P", "W")
    said = {unescaped(value) for _, found in parsed(note.content) for value in found.values()}
    written = [text for section in compose(draft).sections for text in section.paragraphs]
    assert not [text for text in [BANNER, *written] if text in said]
    assert "Rejected for Patient Safety Reasons" in fields(note.content, "NTE")[0][3]


def test_what_is_only_too_old_is_deleted_and_the_rest_was_wrong(tmp_path: Path) -> None:
    sent = OruEncoder("ECHO_NODE").encode(drafts.draft_of(drafts.image(tmp_path / "x.dcm")))
    for reason in WithdrawalReason:
        note = CorrectionEncoder().encode(rejected(sent, reason))
        expected = "D" if reason is WithdrawalReason.RETENTION else "W"
        assert {each[11] for each in fields(note.content, "OBX")} == {expected}


def test_the_same_withdrawal_is_the_same_message_and_another_is_another(tmp_path: Path) -> None:
    sent = OruEncoder("ECHO_NODE").encode(drafts.draft_of(drafts.image(tmp_path / "x.dcm")))
    encoder = CorrectionEncoder(zone=UTC)
    assert encoder.encode(rejected(sent)) == encoder.encode(rejected(sent))
    notes = [encoder.encode(rejected(sent, reason)) for reason in WithdrawalReason]
    assert len({note.sop_instance_uid for note in notes}) == len(WithdrawalReason)
    assert len({fields(note.content, "MSH")[0][9] for note in [*notes, sent]}) == len(WithdrawalReason) + 1


@pytest.mark.parametrize("content", [b"", b"\xff", b"PID|1\r"])
def test_what_is_no_message_of_ours_is_refused(content: bytes) -> None:
    with pytest.raises(PermanentError):
        CorrectionEncoder().encode(rejected(EncodedDocument("oru-r01", "1.2", "1.3", "", "", content)))
