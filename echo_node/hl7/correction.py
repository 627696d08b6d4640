"""Correction that withdraws a draft from a reporting system: the message again, without its text.

Patient, order and the identity of each observation are those of the message that was sent, so that
the receiver finds them. OBX-11 of each observation is `W`, "post original as wrong", or `D`,
"deletes the OBX record", if the draft was not wrong but too old to keep. OBR-25 is `C`, "correction
to results". It is not `X`, "order canceled", because the order remains. Table 0123 has neither `W`
nor `D`.
Source: HL7 2.5.1, 2.10, 7.4.1.25, 7.4.2.11, tables 0085 and 0123.
"""

from __future__ import annotations

import hashlib
from datetime import tzinfo

from echo_node import codes
from echo_node.domain.drafts.report import EncodedDocument
from echo_node.domain.identifiers import derived_uid
from echo_node.domain.work.withdrawal import NoteKind, WithdrawalReason, WithdrawnDrafts
from echo_node.errors import PermanentError
from echo_node.hl7.message import escaped, message, parsed, segment, timestamp

_CORRECTION = "C"
_WRONG, _DELETED = "W", "D"
_IDENTIFIES = range(1, 5)
"""OBX-1 to OBX-4, the identity of an observation: set id, type, code and place."""
_TEXT = (
    "WITHDRAWN. The preliminary result was an unverified machine draft and has been taken back: "
    "nobody may rely on it. Reason: {reason}."
)


class CorrectionEncoder:
    """Implements the NoteEncoder port.

    Args:
        zone: time zone of the message's own time; the machine's by default.
    """

    def __init__(self, *, zone: tzinfo | None = None) -> None:
        self._zone = zone

    def encode(self, rejected: WithdrawnDrafts) -> EncodedDocument:
        """Return the message that withdraws one message.

        Raises:
            PermanentError: that message cannot be read.
        """
        (sent,) = rejected.documents
        uid = derived_uid("correction", [rejected.reason, sent.sop_instance_uid])
        now = timestamp(rejected.at.astimezone(self._zone))
        reason = codes.code("rejection", rejected.reason).meaning
        segments = []
        for name, fields in _segments(sent):
            if name == "MSH":
                fields |= {6: now, 9: hashlib.sha256(uid.encode()).hexdigest()[:20]}
            elif name == "OBR":
                fields |= {22: now, 25: _CORRECTION}
            elif name == "OBX":
                fields = _withdrawn(fields, rejected.reason)
            segments.append(segment(name, fields))
            if name == "OBR":
                note = {1: "1", 2: "L", 3: escaped(_TEXT.format(reason=reason))}
                segments.append(segment("NTE", note))
        return EncodedDocument(
            NoteKind.ORU_R01_WITHDRAWAL, sent.study_instance_uid, uid, "", "", message(segments)
        )


def _segments(sent: EncodedDocument) -> list[tuple[str, dict[int, str]]]:
    try:
        found = parsed(sent.content)
    except UnicodeDecodeError as error:
        raise PermanentError("the message that was sent is not in UTF-8") from error
    if not found or found[0][0] != "MSH":
        raise PermanentError("the message that was sent does not begin with MSH")
    return found


def _withdrawn(fields: dict[int, str], reason: WithdrawalReason) -> dict[int, str]:
    """Return an observation without its text. The UID of the study stays."""
    kept = {number: fields[number] for number in _IDENTIFIES if number in fields}
    if fields.get(2) == "HD":
        kept[5] = fields.get(5, "")
    return kept | {11: _DELETED if reason is WithdrawalReason.RETENTION else _WRONG}
