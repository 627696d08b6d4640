"""A-ASSOCIATE-RQ, read leniently (PS3.8 9.3.2, PS3.7 D.3.3).

Modalities pad titles with NULs, send items that are not in the Standard, and names that are too
long. What the node does not need is skipped, as PS3.8 9.3.1 requires of unknown items. Nothing here
trusts a length.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from echo_node.dicom.association_items import (
    APPLICATION_CONTEXT,
    MAXIMUM_LENGTH,
    PROPOSED_CONTEXT,
    ROLE_SELECTION,
    USER_INFORMATION,
    items,
)
from echo_node.dicom.scp.pdu_stream import HEADER_BYTES, InvalidPdu

_FIXED = struct.Struct(">HH16s16s32s")
_TITLES = slice(4, _FIXED.size)

_ABSTRACT_SYNTAX, _TRANSFER_SYNTAX = 0x30, 0x40


@dataclass(frozen=True, slots=True)
class ProposedContext:
    """A presentation context as it was proposed.

    Attributes:
        context_id: its id; the Standard allows odd ones only, each once.
        abstract_syntax: its abstract syntax; empty if there is none.
        transfer_syntaxes: its transfer syntaxes.
    """

    context_id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Roles:
    """Roles that a requestor proposes for itself, or an acceptor accepts (PS3.7 D.3.3.4)."""

    scu: bool
    scp: bool


@dataclass(frozen=True, slots=True)
class AssociationRequest:
    """Request of a peer for an association.

    Attributes:
        protocol_version: bits of the versions that it supports.
        titles: AE titles and reserved bytes as they were sent, which the answer repeats.
        called_ae_title: AE title that it calls, without padding.
        calling_ae_title: its own AE title, without padding; empty if it is blank.
        application_context: its application context name; empty if there is none.
        contexts: presentation contexts in the order in which they were sent.
        maximum_length: maximum length of a PDU that it accepts; 0 if it states none.
        roles: proposed roles by SOP Class UID.
    """

    protocol_version: int
    titles: bytes
    called_ae_title: str
    calling_ae_title: str
    application_context: str
    contexts: tuple[ProposedContext, ...]
    maximum_length: int
    roles: Mapping[str, Roles]


def read_association_request(pdu: bytes) -> AssociationRequest:
    """Return the request of a whole PDU.

    Raises:
        InvalidPdu: its lengths contradict each other.
    """
    try:
        return _read(pdu[HEADER_BYTES:])
    except ValueError as error:
        raise InvalidPdu(f"the A-ASSOCIATE-RQ is malformed: {error}") from error


def _read(content: bytes) -> AssociationRequest:
    if len(content) < _FIXED.size:
        raise ValueError("it ends before its items")
    version, _, called, calling, _ = _FIXED.unpack_from(content)
    application_context, contexts, user_information = "", [], bytearray()
    for kind, item in items(content[_FIXED.size :]):
        if kind == APPLICATION_CONTEXT:
            application_context = _uid(item)
        elif kind == PROPOSED_CONTEXT:
            contexts.append(_context(item))
        elif kind == USER_INFORMATION:
            user_information += item
    maximum_length, roles = _user_information(bytes(user_information))
    return AssociationRequest(
        protocol_version=version,
        titles=content[_TITLES],
        called_ae_title=_ae_title(called),
        calling_ae_title=_ae_title(calling),
        application_context=application_context,
        contexts=tuple(contexts),
        maximum_length=maximum_length,
        roles=roles,
    )


def _context(item: bytes) -> ProposedContext:
    if len(item) < 4:
        raise ValueError("a presentation context has no id")
    abstract_syntax, transfer_syntaxes = "", []
    for kind, content in items(item[4:]):
        if kind == _ABSTRACT_SYNTAX:
            abstract_syntax = _uid(content)
        elif kind == _TRANSFER_SYNTAX:
            transfer_syntaxes.append(_uid(content))
    return ProposedContext(item[0], abstract_syntax, tuple(transfer_syntaxes))


def _user_information(content: bytes) -> tuple[int, dict[str, Roles]]:
    """Return the maximum length and the roles; all other sub-items are of no use to the node."""
    maximum_length, roles = 0, {}
    for kind, item in items(content):
        if kind == MAXIMUM_LENGTH and len(item) == 4:
            maximum_length = int.from_bytes(item, "big")
        elif kind == ROLE_SELECTION and len(item) >= 4:
            end = 2 + int.from_bytes(item[:2], "big")
            if end + 2 == len(item):
                roles[_uid(item[2:end])] = Roles(scu=item[end] == 1, scp=item[end + 1] == 1)
    return maximum_length, roles


def _ae_title(raw: bytes) -> str:
    """Return an AE title without the spaces and NULs around it, and without what follows a NUL."""
    return raw.lstrip(b" \0").partition(b"\0")[0].decode("latin-1").strip(" ")


def _uid(raw: bytes) -> str:
    return raw.decode("latin-1").strip(" \0")
