"""Associations that the node opens, with clear errors, and releases or aborts."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pydicom.uid import UID
from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext, build_role

from echo_node.dicom.pynetdicom_adapter import Requestor
from echo_node.dicom.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from echo_node.errors import PermanentError, TransientError
from echo_node.settings import Peer

_REFUSALS = {
    (1, 2): "it does not know the application context",
    (1, 3): "it does not know our AE title",
    (1, 7): "it does not accept the called AE title",
    (2, 2): "it speaks another version of the protocol",
    (3, 1): "it is congested",
    (3, 2): "it has too many associations open",
}


@contextmanager
def associated(
    peer: Peer,
    calling_ae_title: str,
    proposed: Sequence[PresentationContext],
    timeout_s: float,
    handlers: Sequence[evt.EventHandlerType] = (),
) -> Iterator[Association]:
    """Open an association; release it at the end, abort it after an error.

    For a proposed context with an SCP role, the node negotiates to be the provider (PS3.7 D.3.3.4).
    A peer that accepts the context without a word on the role is assumed to agree.

    Raises:
        TransientError: the association cannot be opened; the message states the failed step.
        PermanentError: the peer accepts none of the proposed contexts.
    """
    entity = Requestor(calling_ae_title)
    entity.implementation_class_uid = UID(IMPLEMENTATION_CLASS_UID)
    entity.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    entity.connection_timeout = entity.acse_timeout = timeout_s
    entity.dimse_timeout = entity.network_timeout = timeout_s
    try:
        association = entity.associate(
            peer.host,
            peer.port,
            contexts=list(proposed),
            ae_title=peer.ae_title,
            ext_neg=[
                build_role(each.abstract_syntax or "", scu_role=bool(each.scu_role), scp_role=True)
                for each in proposed
                if each.scp_role
            ],
            evt_handlers=[(evt.EVT_CONN_OPEN, _without_delay), *handlers],
        )
    except OSError as error:
        raise TransientError(f"{name_of(peer)}: the host name cannot be resolved") from error
    if not association.is_established:
        if association.is_rejected:
            raise TransientError(f"{name_of(peer)} rejects the association: {_why_rejected(association)}")
        if association.rejected_contexts:
            raise PermanentError(
                f"{name_of(peer)} accepts none of the proposed presentation contexts: {_names(proposed)}"
            )
        raise TransientError(_how_far(peer, timeout_s))
    try:
        yield association
    except BaseException:
        association.abort()
        raise
    if association.is_established:
        association.release()


def _without_delay(event: evt.Event) -> None:
    """Send small messages at once: otherwise Nagle and delayed ACKs cost 40 ms each."""
    transport = event.assoc.dul.socket
    if transport is not None and transport.socket is not None:
        transport.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _why_rejected(association: Association) -> str:
    answer = association.acceptor.primitive
    reason = _REFUSALS.get((answer.result_source or 0, answer.diagnostic or 0)) if answer else None
    return reason or "it gives no reason"


def _how_far(peer: Peer, timeout_s: float) -> str:
    try:
        socket.create_connection((peer.host, peer.port), timeout=min(timeout_s, 5.0)).close()
    except TimeoutError:
        return f"{name_of(peer)} cannot be reached: no answer from the host"
    except OSError as error:
        return f"{name_of(peer)} cannot be reached: {error.strerror or type(error).__name__}"
    return f"{name_of(peer)} accepts connections but does not answer as a DICOM peer"


def _names(proposed: Sequence[PresentationContext]) -> str:
    pairs = {(context.abstract_syntax, context.transfer_syntax[0]) for context in proposed}
    return ", ".join(sorted(f"{UID(sop_class or '').name} in {syntax.name}" for sop_class, syntax in pairs))


def name_of(peer: Peer) -> str:
    """Return the name of a peer for messages."""
    return f"{peer.ae_title}@{peer.host}:{peer.port}"
