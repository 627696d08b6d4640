"""Answers to an A-ASSOCIATE-RQ: acceptance, rejection or abort (PS3.8 9.3.3, 9.3.4, 9.3.8).

Every proposed presentation context is answered, also one that the Standard does not allow: an even
id, an id that is used twice, no syntax. Only that context is then refused, not the association.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydicom.uid import UID
from pynetdicom.presentation import PresentationContext, build_context, negotiate_as_acceptor

from echo_node.dicom.association_items import (
    APPLICATION_CONTEXT,
    CONTEXT_RESULT,
    IMPLEMENTATION_CLASS,
    MAXIMUM_LENGTH,
    ROLE_SELECTION,
    USER_INFORMATION,
    item,
)
from echo_node.dicom.scp.association_request import AssociationRequest, ProposedContext, Roles
from echo_node.dicom.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

DICOM_APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"

_ACCEPTED, _USER_REJECTION, _NO_REASON, _NO_ABSTRACT_SYNTAX, _NO_TRANSFER_SYNTAX = range(5)
_AC, _RJ, _ABORT = 0x02, 0x03, 0x07
_BY_PROVIDER = 2
INVALID_PARAMETER = 6
"""Reason of an abort: invalid PDU parameter value (PS3.8 table 9-26)."""
_REASONS_OF_PROVIDER = {
    0: "no reason given",
    1: "unrecognised PDU",
    2: "unexpected PDU",
    4: "unrecognised PDU parameter",
    5: "unexpected PDU parameter",
    INVALID_PARAMETER: "invalid PDU parameter value",
}
_IMPLICIT_VR = "1.2.840.10008.1.2"
"""Stated where nothing is accepted; it is not significant there (PS3.8 9.3.3.2)."""


@dataclass(frozen=True, slots=True)
class RefusedContext:
    """A presentation context that is refused, and why.

    Attributes:
        proposed: the context.
        result: result of the negotiation (PS3.8 table 9-18).
        reason: reason for the log.
    """

    proposed: ProposedContext
    result: int
    reason: str


@dataclass(frozen=True, slots=True)
class Negotiated:
    """Outcome of a negotiation.

    Attributes:
        accepted: accepted contexts by id, for pynetdicom.
        refused: refused contexts.
        roles: accepted roles by SOP Class UID, where some were proposed.
    """

    accepted: Mapping[int, PresentationContext]
    refused: tuple[RefusedContext, ...]
    roles: Mapping[str, Roles]


def negotiate(request: AssociationRequest, supported: Sequence[PresentationContext]) -> Negotiated:
    """Decide about every proposed presentation context."""
    syntaxes = {str(each.abstract_syntax): frozenset(map(str, each.transfer_syntax)) for each in supported}
    refused, usable = [], []
    for proposed, is_ambiguous in _unique(request.contexts):
        fault = _fault(proposed, syntaxes, is_ambiguous=is_ambiguous)
        if fault is None:
            usable.append(proposed)
        else:
            refused.append(RefusedContext(proposed, *fault))
    results, roles = negotiate_as_acceptor(
        [_as_context(each, syntaxes) for each in usable],
        list(supported),
        {UID(uid): (each.scu, each.scp) for uid, each in request.roles.items() if uid in syntaxes},
    )
    accepted = {int(each.context_id or 0): each for each in results if each.result == _ACCEPTED}
    refused += [
        RefusedContext(each, _USER_REJECTION, "the node does not take the proposed role")
        for each in usable
        if each.context_id not in accepted
    ]
    answered = {str(each.sop_class_uid): Roles(bool(each.scu_role), bool(each.scp_role)) for each in roles}
    return Negotiated(accepted, tuple(refused), answered)


def _unique(contexts: Sequence[ProposedContext]) -> list[tuple[ProposedContext, bool]]:
    """Return one context for each id, and whether others contradict it."""
    by_id: defaultdict[int, list[ProposedContext]] = defaultdict(list)
    for each in contexts:
        by_id[each.context_id].append(each)
    return [(same[0], any(each != same[0] for each in same)) for same in by_id.values()]


def _fault(
    proposed: ProposedContext, syntaxes: Mapping[str, frozenset[str]], *, is_ambiguous: bool
) -> tuple[int, str] | None:
    if is_ambiguous:
        return _NO_REASON, "its presentation context id is used twice"
    if proposed.context_id % 2 == 0:
        return _NO_REASON, "its presentation context id is not odd"
    known = syntaxes.get(proposed.abstract_syntax)
    if known is None:
        return _NO_ABSTRACT_SYNTAX, "the node does not support this SOP class"
    if not known.intersection(proposed.transfer_syntaxes):
        return _NO_TRANSFER_SYNTAX, "the node supports none of its transfer syntaxes"
    return None


def _as_context(proposed: ProposedContext, syntaxes: Mapping[str, frozenset[str]]) -> PresentationContext:
    known = syntaxes[proposed.abstract_syntax]
    context = build_context(
        proposed.abstract_syntax, [each for each in proposed.transfer_syntaxes if each in known]
    )
    context.context_id = proposed.context_id
    return context


def acceptance(request: AssociationRequest, negotiated: Negotiated, maximum_length: int) -> bytes:
    """Return the A-ASSOCIATE-AC.

    Args:
        request: the request.
        negotiated: decision about its presentation contexts.
        maximum_length: maximum length of a PDU that the node accepts; 0 for any length.
    """
    results = {
        each.proposed.context_id: _result(each.proposed.context_id, each.result, _IMPLICIT_VR)
        for each in negotiated.refused
    }
    for context_id, context in negotiated.accepted.items():
        results[context_id] = _result(context_id, _ACCEPTED, str(context.transfer_syntax[0]))
    user_information = item(MAXIMUM_LENGTH, struct.pack(">L", maximum_length))
    user_information += item(IMPLEMENTATION_CLASS, IMPLEMENTATION_CLASS_UID.encode())
    for uid, roles in negotiated.roles.items():
        encoded = uid.encode()
        user_information += item(
            ROLE_SELECTION, struct.pack(">H", len(encoded)) + encoded + bytes([roles.scu, roles.scp])
        )
    user_information += item(0x55, IMPLEMENTATION_VERSION_NAME.encode())
    variable = item(APPLICATION_CONTEXT, DICOM_APPLICATION_CONTEXT.encode())
    variable += b"".join(results[context_id] for context_id in sorted(results))
    variable += item(USER_INFORMATION, user_information)
    return _pdu(_AC, struct.pack(">HH", 1, 0) + request.titles + variable)


def rejection(result: int, source: int, diagnostic: int) -> bytes:
    """Return an A-ASSOCIATE-RJ (PS3.8 table 9-21)."""
    return _pdu(_RJ, bytes([0, result, source, diagnostic]))


def abort_by_provider(reason: int) -> bytes:
    """Return an A-ABORT of the service provider (PS3.8 table 9-26)."""
    return _pdu(_ABORT, bytes([0, 0, _BY_PROVIDER, reason]))


def abort_reason(pdu: bytes) -> str:
    """Return the reason in a peer's A-ABORT, for the log."""
    source, reason = (*pdu[8:10], 0, 0)[:2]
    if source == _BY_PROVIDER:
        return f"aborted by the peer's service provider: {_REASONS_OF_PROVIDER.get(reason, 'unknown reason')}"
    return "aborted by the peer"


def _result(context_id: int, result: int, transfer_syntax: str) -> bytes:
    return item(CONTEXT_RESULT, bytes([context_id, 0, result, 0]) + item(0x40, transfer_syntax.encode()))


def _pdu(kind: int, content: bytes) -> bytes:
    return struct.pack(">BxL", kind, len(content)) + content
