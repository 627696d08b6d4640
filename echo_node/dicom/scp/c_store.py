"""One C-STORE, from its command to its status (PS3.4 Annex B).

The data set is streamed to the sink. After an error, the rest of the data set is read and
discarded, and the sender still receives a status.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass

import structlog

from echo_node.dicom.contexts import contexts
from echo_node.dicom.data_set_check import identity_of
from echo_node.dicom.scp.command import Command
from echo_node.dicom.scp.file_meta import file_meta
from echo_node.dicom.scp.log_limit import LogLimit
from echo_node.dicom.scp.uid_policy import UidPolicy
from echo_node.dicom.statuses import Status
from echo_node.domain.identifiers import checked_uid
from echo_node.domain.studies.intake import InstanceArrival, InstanceSink, Piece
from echo_node.domain.studies.study import InstanceIdentity, ReceivedInstance
from echo_node.errors import InstanceRejected, TransientError

_log = structlog.get_logger()

_OUT_OF_SPACE = {errno.ENOSPC, errno.EDQUOT}


@dataclass(frozen=True, slots=True)
class StoreContext:
    """Negotiated context of a C-STORE request.

    Attributes:
        abstract_syntax: SOP Class UID of the presentation context.
        transfer_syntax: transfer syntax of its data sets.
        calling_ae_title: AE title of the sender; empty if it is blank.
        address: its IP address.
    """

    abstract_syntax: str
    transfer_syntax: str
    calling_ae_title: str
    address: str


@dataclass(frozen=True, slots=True)
class StoreService:
    """C-STORE service of the node.

    Attributes:
        sink: destination of the instances.
        in_progress: context that is entered while an instance is stored and its response is sent.
        uids: policy about UIDs that break the Standard.
        limit: limit of equal log lines.
    """

    sink: InstanceSink
    in_progress: AbstractContextManager[None]
    uids: UidPolicy
    limit: LogLimit

    def begin(self, command: Command, context: StoreContext) -> StoreOperation:
        """Begin the operation of a C-STORE request."""
        return StoreOperation(command, context, self)


class StoreOperation:
    """Storing of one instance.

    Args:
        command: command set of the request.
        context: negotiated context of the request.
        service: C-STORE service of the node.
    """

    def __init__(self, command: Command, context: StoreContext, service: StoreService) -> None:
        self._command = command
        self._context = context
        self._service = service
        self._is_strict = service.uids.is_strict(context.calling_ae_title)
        self._arrival: InstanceArrival
        self._begun = ExitStack()
        self._answer: tuple[int, str] | None = None
        self._attempt(self._begin)

    def write(self, piece: Piece) -> None:
        """Take the next bytes of the data set."""
        self._attempt(lambda: self._arrival.write(piece))

    def finish(self) -> tuple[int, str]:
        """Store the instance; return the status of the response and an Error Comment.

        An instance that conflicts with a known one is set aside and also gets a success status. If
        it were rejected, its sender might retry indefinitely.
        """
        self._attempt(self._store)
        self.abandon()
        return self._answer or (Status.SUCCESS, "")

    def abandon(self) -> None:
        """Discard an instance that was not stored."""
        self._begun.close()

    def _begin(self) -> None:
        command, context = self._command, self._context
        if (
            command.sop_class_uid != context.abstract_syntax
            or contexts().storage_class(context.abstract_syntax) is None
        ):
            raise InstanceRejected(
                Status.SOP_CLASS_NOT_SUPPORTED, "the SOP class is not that of the presentation context"
            )
        try:
            checked_uid(command.sop_instance_uid, "Affected SOP Instance UID", strict=self._is_strict)
        except ValueError as error:
            raise InstanceRejected(Status.CANNOT_UNDERSTAND, str(error)) from error
        if not command.has_data_set:
            raise InstanceRejected(Status.CANNOT_UNDERSTAND, "the request has no data set")
        meta = file_meta(
            command.sop_class_uid, command.sop_instance_uid, context.transfer_syntax, context.calling_ae_title
        )
        self._arrival = self._begun.enter_context(self._service.sink.begin(meta))

    def _store(self) -> None:
        identity = self._identity()
        received = ReceivedInstance(identity, self._context.calling_ae_title, urgent=self._command.is_urgent)
        self._arrival.store(received)
        self._service.uids.note(identity, self._context.calling_ae_title)

    def _identity(self) -> InstanceIdentity:
        try:
            identity = identity_of(
                self._arrival.data_set(), self._context.transfer_syntax, strict_uids=self._is_strict
            )
        except ValueError as error:
            raise InstanceRejected(Status.CANNOT_UNDERSTAND, str(error)) from error
        except (OSError, MemoryError):
            raise
        except Exception as error:
            reason = f"the data set cannot be parsed ({type(error).__name__})"
            raise InstanceRejected(Status.CANNOT_UNDERSTAND, reason) from error
        if identity.sop_class_uid != self._command.sop_class_uid:
            raise InstanceRejected(
                Status.DATA_SET_DOES_NOT_MATCH_SOP_CLASS, "SOP Class UID differs between data set and request"
            )
        if identity.sop_instance_uid != self._command.sop_instance_uid:
            raise InstanceRejected(
                Status.DATA_SET_DOES_NOT_MATCH_SOP_CLASS,
                "SOP Instance UID differs between data set and request",
            )
        return identity

    def _attempt(self, step: Callable[[], None]) -> None:
        """Run a step unless an earlier one failed; a failure becomes the response."""
        if self._answer is not None:
            return
        try:
            step()
        except InstanceRejected as refusal:
            self._refuse(refusal.status, str(refusal))
        except TransientError:
            self._refuse(
                Status.PROCESSING_FAILURE, "temporarily unable to store the instance; send it again later"
            )
        except OSError as error:
            if error.errno in _OUT_OF_SPACE:
                self._refuse(Status.OUT_OF_RESOURCES, "the disk is full")
            else:
                self._fail("the instance could not be written")
        except Exception:  # noqa: BLE001 - the sender always gets a status
            self._fail("internal error")

    def _refuse(self, status: int, reason: str) -> None:
        context, shown = self._context, f"0x{status:04X}"
        self._service.limit.write(
            ("instance_refused", context.address, context.calling_ae_title, shown, reason),
            lambda count: _log.warning(
                "instance_refused",
                peer=context.calling_ae_title,
                address=context.address,
                sop_class=context.abstract_syntax,
                transfer_syntax=context.transfer_syntax,
                status=shown,
                reason=reason,
                count=count,
            ),
        )
        self._answer = status, reason
        self.abandon()

    def _fail(self, comment: str) -> None:
        _log.exception("store_failed", peer=self._context.calling_ae_title)
        self._answer = Status.PROCESSING_FAILURE, comment
        self.abandon()
