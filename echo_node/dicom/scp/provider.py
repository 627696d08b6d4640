"""Provider of C-ECHO, C-STORE and storage commitment (PS3.4 A, B, J), with access control.

C-STORE is in c_store.py. After any error inside, the peer still receives a status.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, cast

import structlog
from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity

from echo_node.dicom.contexts import contexts
from echo_node.dicom.scp.acceptor import AcceptorServices
from echo_node.dicom.scp.admission import Admission, plain_address
from echo_node.dicom.scp.association_log import AssociationLog
from echo_node.dicom.scp.c_store import StoreService
from echo_node.dicom.scp.listener import AssociationListener
from echo_node.dicom.scp.log_limit import LogLimit
from echo_node.dicom.scp.storage_commitment import CommitmentProvider
from echo_node.dicom.scp.uid_policy import UidPolicy
from echo_node.dicom.scu.storage_commitment import report_of
from echo_node.dicom.statuses import Status
from echo_node.dicom.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from echo_node.domain.ports import CommitmentRequestIntake
from echo_node.domain.studies.intake import InstanceSink
from echo_node.domain.work.commitment import CommitmentReport
from echo_node.errors import ConfigError, InstanceRejected, TransientError
from echo_node.settings import IntakeSettings, NodeSettings, Peer

_log = structlog.get_logger()

_GRACE_S = 5.0


class StorageProvider:
    """The node's service class provider.

    Args:
        node: AE title, address and port.
        intake: allowed senders, limits and time-outs.
        peers: known application entities by name; a peer with a host may only send from it.
        sink: destination of instances.
        on_report: called with a peer's report on our request for storage commitment, and the peer's
            AE title; returns whether the request was open. Without it, reports are rejected.
        commitment_requests: intake of storage commitment requests; without it, they are rejected.
    """

    def __init__(
        self,
        node: NodeSettings,
        intake: IntakeSettings,
        peers: Mapping[str, Peer],
        sink: InstanceSink,
        on_report: Callable[[CommitmentReport, str], bool] | None = None,
        commitment_requests: CommitmentRequestIntake | None = None,
    ) -> None:
        self._node = node
        self._intake = intake
        self._peers = peers
        self._sink = sink
        self._on_report = on_report
        self._uids = UidPolicy(peers.values())
        self._commitment = (
            CommitmentProvider(peers, self._uids, commitment_requests)
            if commitment_requests is not None
            else None
        )
        self._in_progress = _Busy()
        self._limit = LogLimit()
        self._listener: AssociationListener | None = None
        self._thread: threading.Thread | None = None
        self._entity = self._application_entity()

    def start(self) -> int:
        """Listen, and return the port that was bound.

        Raises:
            ConfigError: the address or port is unavailable.
        """
        address = (self._node.bind_address, self._node.port)
        try:
            listener: Any = self._entity.make_server(
                address,
                evt_handlers=[
                    (evt.EVT_N_ACTION, self._on_action),
                    (evt.EVT_N_EVENT_REPORT, self._on_event_report),
                ],
                server_class=AssociationListener,
                patience_s=self._intake.acse_timeout_s,
                silence_s=self._intake.network_timeout_s,
                maximum_waiting=max(64, 4 * self._intake.maximum_associations),
                shares_port=self._intake.processes > 1,
                services=self._services(),
                limit=self._limit,
            )
        except OSError as error:
            raise ConfigError(
                f"cannot listen on {address[0]} port {address[1]}: {error.strerror or error}; "
                "set node.bind_address and node.port to a free address"
            ) from error
        self._listener = cast("AssociationListener", listener)
        self._thread = threading.Thread(target=self._listener.serve, name="dicom-listener", daemon=True)
        self._thread.start()
        return self._listener.port

    def stop(self) -> None:
        """Stop listening, let each C-STORE in progress finish, and abort open associations."""
        if self._listener is None or self._thread is None:
            return
        self._listener.close()
        self._thread.join()
        self._in_progress.wait_until_idle(_GRACE_S)
        for association in self._entity.active_associations:
            association.abort()
        self._limit.flush()
        self._listener = self._thread = None

    def _services(self) -> AcceptorServices:
        return AcceptorServices(
            Admission(self._node.ae_title, self._intake, self._peers.values()),
            self._entity.supported_contexts,
            self._intake.maximum_pdu_bytes,
            StoreService(self._sink, self._in_progress, self._uids, self._limit),
            AssociationLog(self._limit),
        )

    def _application_entity(self) -> ApplicationEntity:
        entity = ApplicationEntity(self._node.ae_title)
        entity.implementation_class_uid = IMPLEMENTATION_CLASS_UID
        entity.implementation_version_name = IMPLEMENTATION_VERSION_NAME
        entity.maximum_pdu_size = self._intake.maximum_pdu_bytes
        entity.acse_timeout = self._intake.acse_timeout_s
        entity.dimse_timeout = self._intake.network_timeout_s
        entity.network_timeout = self._intake.network_timeout_s
        entity.supported_contexts = contexts().supported()
        if self._on_report is not None or self._commitment is not None:
            is_provider = self._commitment is not None
            entity.supported_contexts += [contexts().commitment_context(is_provider=is_provider)]
        return entity

    def _on_action(self, event: evt.Event) -> tuple[int, None]:
        """Record a request for storage commitment; success means that it is durable."""
        commitment = self._commitment
        if commitment is None:
            return Status.UNRECOGNISED_OPERATION, None
        return self._recorded(event, lambda _: commitment.take(event), "request_refused", "ask again later")

    def _on_event_report(self, event: evt.Event) -> tuple[int, None]:
        """Record a report on storage commitment; a report without a request succeeds too."""
        on_report = self._on_report
        if on_report is None:
            return Status.PROCESSING_FAILURE, None

        def take(peer: str) -> None:
            if not on_report(report_of(event), peer):
                _log.info("report_not_awaited", peer=peer)

        return self._recorded(event, take, "report_refused", "send again later")

    def _recorded(
        self, event: evt.Event, take: Callable[[str], None], refused: str, advice: str
    ) -> tuple[int, None]:
        """Return the status of a message that *take* records, given the sender's AE title."""
        peer = str(event.assoc.requestor.ae_title).strip()
        with self._in_progress:
            try:
                take(peer)
            except InstanceRejected as refusal:
                self._log_refusal(event, refused, refusal.status, str(refusal))
                return refusal.status, None
            except TransientError:
                self._log_refusal(
                    event, refused, Status.PROCESSING_FAILURE, f"cannot record it now, {advice}"
                )
                return Status.PROCESSING_FAILURE, None
            except Exception:  # noqa: BLE001 - the peer always gets a status
                _log.exception(refused, peer=peer)
                return Status.PROCESSING_FAILURE, None
        return Status.SUCCESS, None

    def _log_refusal(self, event: evt.Event, name: str, status: int, reason: str) -> None:
        peer, shown = str(event.assoc.requestor.ae_title).strip(), f"0x{status:04X}"
        address = plain_address(event.assoc.requestor.address)
        self._limit.write(
            (name, address, peer, shown, reason),
            lambda count: _log.warning(
                name, peer=peer, address=address, status=shown, reason=reason, count=count
            ),
        )


class _Busy:
    """Counts operations in progress, so that stopping can wait for them."""

    def __init__(self) -> None:
        self._count = 0
        self._changed = threading.Condition()

    def __enter__(self) -> None:
        with self._changed:
            self._count += 1

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._count -= 1
            self._changed.notify_all()

    def wait_until_idle(self, timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        with self._changed:
            return self._changed.wait_for(
                lambda: self._count == 0, timeout=max(0.0, deadline - time.monotonic())
            )
