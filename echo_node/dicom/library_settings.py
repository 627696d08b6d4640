"""How pydicom and pynetdicom are set up for the whole process, before anything is read or received.

Both put values of attributes, and so patient data, into their warnings and logs unless told not to.
"""

from __future__ import annotations

import logging

import pydicom.config
from pynetdicom import _config as pynetdicom_config


def configure_libraries() -> None:
    """Keep patient data out of the libraries' logs and warnings, and read what peers really send."""
    # Validation on reading warns with the offending value in the text; what matters is checked by us.
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    pynetdicom_config.LOG_REQUEST_IDENTIFIERS = False
    pynetdicom_config.LOG_RESPONSE_IDENTIFIERS = False
    # The handlers of "standard" format every PDU and message, for a log that nobody may read.
    pynetdicom_config.LOG_HANDLER_LEVEL = "none"
    # Files are sent as they lie on disk, neither decoded nor encoded anew.
    pynetdicom_config.STORE_SEND_CHUNKED_DATASET = True
    for library in ("pydicom", "pynetdicom", "highdicom"):
        logging.getLogger(library).setLevel(logging.CRITICAL)
