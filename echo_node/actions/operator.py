"""The operator who acts: login and machine, as records show them."""

from __future__ import annotations

import getpass
import socket

OPERATOR_LENGTH = 128
"""Number of characters of an operator's name that are kept."""


def operator() -> str:
    """Return the login and the machine of the person who runs this process."""
    return f"{getpass.getuser()}@{socket.gethostname()}"
