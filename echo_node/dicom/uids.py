"""UIDs that the node generates from their inputs, so that a resend is the same object."""

from __future__ import annotations

from echo_node import __version__
from echo_node.domain.identifiers import derived_uid

IMPLEMENTATION_CLASS_UID = "2.25.110085733775936036421750710280752912478"
"""Our implementation, in file meta information and association negotiation (PS3.7 D.3.3.2)."""

IMPLEMENTATION_VERSION_NAME = f"ECHO_NODE_{__version__}"[:16]
"""Our version, at most 16 characters (SH)."""


def series_uid(study_instance_uid: str, model_digest: str, kind: str) -> str:
    """Return the Series Instance UID that all revisions of one study's drafts share."""
    return derived_uid("series", [study_instance_uid, model_digest, kind])


def note_series_uid(study_instance_uid: str) -> str:
    """Return the Series Instance UID of the notes that withdraw one study's drafts."""
    return derived_uid("series of notes", [study_instance_uid])


def device_uid(model_digest: str) -> str:
    """Return the UID of the device observer: the program with this checkpoint."""
    return derived_uid("device", [model_digest])
