"""Settings of pydicom and pynetdicom for the whole process, before anything is read or received.

By default, both write values of attributes, and so patient data, into their warnings and logs.
"""

from __future__ import annotations

import logging

import pydicom.config
from pynetdicom import _config as pynetdicom_config


def configure_libraries() -> None:
    """Keep patient data out of the libraries' logs and warnings; read what peers really send."""
    # Validation on reading warns with the value in the text. We check what matters ourselves.
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    pynetdicom_config.LOG_REQUEST_IDENTIFIERS = False
    pynetdicom_config.LOG_RESPONSE_IDENTIFIERS = False
    # The handlers of "standard" format every PDU and message, for a log that is switched off.
    pynetdicom_config.LOG_HANDLER_LEVEL = "none"
    # Files are sent as they are on disk, without being decoded and encoded again.
    pynetdicom_config.STORE_SEND_CHUNKED_DATASET = True
    for library in ("pydicom", "pynetdicom", "highdicom"):
        logging.getLogger(library).setLevel(logging.CRITICAL)
