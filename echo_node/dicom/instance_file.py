"""DICOM files from anywhere, handled like received instances."""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace
from pathlib import Path

from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from echo_node.dicom.data_set_check import UnusableDataSet, identity_of
from echo_node.dicom.header import check_size, inflated, split
from echo_node.dicom.header_values import PARSE_ERRORS, text
from echo_node.domain.identifiers import checked_uid
from echo_node.domain.studies.study import StoredInstance
from echo_node.errors import PermanentError


def instance_from_file(path: Path) -> StoredInstance:
    """Return the instance in a DICOM file from anywhere.

    Raises:
        PermanentError: it is not a whole DICOM file, or a UID in it is absent or malformed.
    """
    try:
        check_size(path.stat().st_size)
        part10 = path.read_bytes()
    except OSError as error:
        raise PermanentError(f"the file cannot be read ({error.strerror or type(error).__name__})") from error
    meta, data_set = split(part10)
    try:
        syntax = checked_uid(text(meta, "TransferSyntaxUID"), "TransferSyntaxUID", strict=True)
        if syntax == DeflatedExplicitVRLittleEndian:
            identity = replace(
                identity_of(io.BytesIO(inflated(data_set)), ExplicitVRLittleEndian, strict_uids=False),
                transfer_syntax_uid=syntax,
            )
        else:
            identity = identity_of(io.BytesIO(data_set), syntax, strict_uids=False)
    except PARSE_ERRORS as error:
        reason = f": {error}" if type(error) in {ValueError, UnusableDataSet} else ""
        raise PermanentError(f"not a whole DICOM file{reason}") from error
    return StoredInstance(identity, path, hashlib.sha256(data_set).hexdigest())
