"""Preamble and file meta information of received instances (PS3.10 7.1)."""

from __future__ import annotations

import struct

from echo_node.dicom.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

_PREAMBLE = bytes(128) + b"DICM"
_VERSION = struct.pack("<HH2sxxL", 0x0002, 0x0001, b"OB", 2) + b"\x00\x01"


def file_meta(sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str, source: str) -> bytes:
    """Return the bytes that precede the data set of an instance in its file.

    Args:
        sop_class_uid: SOP Class UID, checked like the other UIDs.
        sop_instance_uid: SOP Instance UID.
        transfer_syntax_uid: transfer syntax of the data set.
        source: AE title of the sender; empty if unknown.
    """
    elements = _VERSION
    elements += _uid(0x0002, sop_class_uid) + _uid(0x0003, sop_instance_uid)
    elements += _uid(0x0010, transfer_syntax_uid) + _uid(0x0012, IMPLEMENTATION_CLASS_UID)
    elements += _short(0x0013, b"SH", IMPLEMENTATION_VERSION_NAME, b" ")
    if source:
        elements += _short(0x0016, b"AE", source, b" ")
    return _PREAMBLE + struct.pack("<HH2sHL", 0x0002, 0x0000, b"UL", 4, len(elements)) + elements


def _uid(element: int, value: str) -> bytes:
    return _short(element, b"UI", value, b"\0")


def _short(element: int, vr: bytes, value: str, padding: bytes) -> bytes:
    """Return an Explicit VR Little Endian element with a 2-byte length (PS3.5 7.1.2)."""
    encoded = value.encode("ascii", "replace")
    encoded += padding * (len(encoded) % 2)
    return struct.pack("<HH2sH", 0x0002, element, vr, len(encoded)) + encoded
