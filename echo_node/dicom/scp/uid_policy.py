"""UIDs of study, series and instance that break the Standard: who may send them.

Where the Standard is broken, an image that is refused is lost, and archives take it. Therefore the
node takes such UIDs and refers to them as they are, unless a peer is configured otherwise.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

import structlog

from echo_node.domain.identifiers import uid_fault
from echo_node.domain.studies.study import InstanceIdentity
from echo_node.settings import Peer

_log = structlog.get_logger()

_MOST_SENDERS = 1000


class UidPolicy:
    """Decides about UIDs by their sender, and logs once for each sender that it took such a UID.

    Args:
        peers: known application entities; other senders are treated as lenient ones.
    """

    def __init__(self, peers: Iterable[Peer] = ()) -> None:
        self._strict = frozenset(peer.ae_title for peer in peers if peer.uid_check == "strict")
        self._noted: set[str] = set()
        self._lock = threading.Lock()

    def is_strict(self, calling_ae_title: str) -> bool:
        """Return whether UIDs of this sender must obey the Standard."""
        return calling_ae_title in self._strict

    def note(self, identity: InstanceIdentity, calling_ae_title: str) -> None:
        """Log the first instance of a sender that was taken although a UID breaks the Standard."""
        uids = {
            "StudyInstanceUID": identity.study_instance_uid,
            "SeriesInstanceUID": identity.series_instance_uid,
            "SOPInstanceUID": identity.sop_instance_uid,
        }
        faults = [f"{keyword} {fault}" for keyword, uid in uids.items() if (fault := uid_fault(uid))]
        if faults and self._is_first(calling_ae_title):
            _log.warning("unusual_uids_taken", peer=calling_ae_title, reason="; ".join(faults))

    def _is_first(self, calling_ae_title: str) -> bool:
        with self._lock:
            if calling_ae_title in self._noted or len(self._noted) >= _MOST_SENDERS:
                return False
            self._noted.add(calling_ae_title)
            return True
