"""Settings of pydicom and pynetdicom for the whole process, before anything is read or received.

By default, both write values of attributes, and so patient data, into their warnings and logs.
"""

from __future__ import annotations

import logging
import warnings

import pydicom.config
from pynetdicom import _config as pynetdicom_config

from echo_node.domain.identifiers import LONGEST_USABLE_UID


def configure_libraries() -> None:
    """Keep patient data out of the libraries' logs and warnings; read what peers really send."""
    # Validation on reading warns with the value in the text. We check what matters ourselves.
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    warnings.filterwarnings("ignore", module=r"pydicom\.")
    # pynetdicom would raise an error with the value for a UID of more than 64 characters.
    pynetdicom_config.VALIDATORS["UI"] = _checked_elsewhere
    pynetdicom_config.LOG_REQUEST_IDENTIFIERS = False
    pynetdicom_config.LOG_RESPONSE_IDENTIFIERS = False
    # The handlers of "standard" format every PDU and message, for a log that is switched off.
    pynetdicom_config.LOG_HANDLER_LEVEL = "none"
    # Files are sent as they are on disk, without being decoded and encoded again.
    pynetdicom_config.STORE_SEND_CHUNKED_DATASET = True
    for library in ("pydicom", "pynetdicom", "highdicom"):
        logging.getLogger(library).setLevel(logging.CRITICAL)


def _checked_elsewhere(uid: str) -> tuple[bool, str]:
    """Let a UID pass that could be one (see domain/identifiers.py)."""
    return 0 < len(uid) <= LONGEST_USABLE_UID, "must have 1 to 128 characters"
