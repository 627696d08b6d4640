"""Log events of connections and associations: each refusal, and each end that is not a release.

They say who called whom from where, and why. A peer can cause them at will, so that LogLimit counts
those that are equal.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import structlog
from pynetdicom.presentation import PresentationContext

from echo_node.dicom.scp.association_answer import RefusedContext
from echo_node.dicom.scp.log_limit import LogLimit
from echo_node.domain.identifiers import is_usable_uid

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Parties:
    """Application entities of an association, for the log.

    Attributes:
        address: IP address of the peer.
        calling: its AE title; empty if it is blank or unknown.
        called: AE title that it calls; empty if it is blank or unknown.
    """

    address: str
    calling: str = ""
    called: str = ""


class AssociationLog:
    """Writes the events.

    Args:
        limit: limit of equal lines.
    """

    def __init__(self, limit: LogLimit) -> None:
        self._limit = limit

    def rejected(self, who: Parties, reason: str) -> None:
        """Log an association that the node rejected."""
        self._limit.write(
            ("association_rejected", who.address, who.calling, who.called, reason),
            lambda count: _log.warning("association_rejected", **_facts(who), reason=reason, count=count),
        )

    def contexts_refused(self, who: Parties, refused: Sequence[RefusedContext]) -> None:
        """Log the presentation contexts that the node refused, one event for each reason."""
        for reason in dict.fromkeys(each.reason for each in refused):
            self._refused_for(who, reason, [each for each in refused if each.reason == reason])

    def _refused_for(self, who: Parties, reason: str, refused: Sequence[RefusedContext]) -> None:
        classes = _shown(each.proposed.abstract_syntax for each in refused)
        syntaxes = _shown(each for context in refused for each in context.proposed.transfer_syntaxes)
        self._limit.write(
            ("context_refused", who.address, who.calling, who.called, reason, *classes),
            lambda count: _log.info(
                "context_refused",
                **_facts(who),
                sop_class=classes,
                transfer_syntax=syntaxes,
                reason=reason,
                count=count,
            ),
        )

    def broken(self, who: Parties, reason: str, under: PresentationContext | None = None) -> None:
        """Log an association that the node aborted because the peer broke the protocol."""
        self._limit.write(
            ("association_broken", who.address, who.calling, who.called, reason, _class_of(under)),
            lambda count: _log.warning(
                "association_broken", **_facts(who), **_subject(under), reason=reason, count=count
            ),
        )

    def silent(self, who: Parties, under: PresentationContext | None) -> None:
        """Log an association that the node aborted because the peer was silent for too long."""
        reason = "aborted by the node: the peer sent nothing for intake.network_timeout_s"
        self._limit.write(
            ("association_silent", who.address, who.calling, who.called, _class_of(under)),
            lambda count: _log.warning(
                "association_silent", **_facts(who), **_subject(under), reason=reason, count=count
            ),
        )

    def aborted(self, who: Parties, reason: str, under: PresentationContext | None) -> None:
        """Log an association that the peer aborted, or the node through no fault of the peer."""
        self._limit.write(
            ("association_aborted", who.address, who.calling, who.called, reason, _class_of(under)),
            lambda count: _log.warning(
                "association_aborted", **_facts(who), **_subject(under), reason=reason, count=count
            ),
        )

    def failed(self, who: Parties) -> None:
        """Log the exception being handled, which ended an association: a defect of the node."""
        _log.exception("association_failed", **_facts(who))

    def lost(self, who: Parties, under: PresentationContext | None) -> None:
        """Log an association whose connection ended without a release."""
        reason = "the connection ended without a release"
        self._limit.write(
            ("association_lost", who.address, who.calling, who.called, _class_of(under)),
            lambda count: _log.info(
                "association_lost", **_facts(who), **_subject(under), reason=reason, count=count
            ),
        )

    def not_dicom(self, address: str, reason: str) -> None:
        """Log a connection that did not begin with a usable A-ASSOCIATE-RQ."""
        self._limit.write(
            ("connection_is_not_dicom", address, reason),
            lambda count: _log.info("connection_is_not_dicom", address=address, reason=reason, count=count),
        )

    def timed_out(self, address: str, seconds: float) -> None:
        """Log a connection that was closed because no whole A-ASSOCIATE-RQ arrived in time."""
        self._limit.write(
            ("connection_timed_out", address),
            lambda count: _log.info("connection_timed_out", address=address, seconds=seconds, count=count),
        )

    def displaced(self, address: str) -> None:
        """Log a waiting connection that was closed because too many others wait."""
        self._limit.write(
            ("connection_displaced", address),
            lambda count: _log.warning("connection_displaced", address=address, count=count),
        )


def _facts(who: Parties) -> dict[str, str]:
    return {"peer": _printable(who.calling), "called": _printable(who.called), "address": who.address}


def _subject(context: PresentationContext | None) -> dict[str, str | None]:
    """Return SOP class and transfer syntax of the last message, if there was one."""
    sop_class = None if context is None else str(context.abstract_syntax)
    syntax = None if context is None else str(context.transfer_syntax[0])
    return {"sop_class": sop_class, "transfer_syntax": syntax}


def _class_of(context: PresentationContext | None) -> str:
    return "" if context is None else str(context.abstract_syntax)


def _shown(uids: Iterable[str]) -> list[str]:
    """Return UIDs of a peer for the log: each once, and nothing that is not a UID."""
    return list(dict.fromkeys(uid if is_usable_uid(uid) else "not a UID" for uid in uids))


def _printable(title: str) -> str:
    return "".join(each if each.isascii() and each.isprintable() else "?" for each in title)
