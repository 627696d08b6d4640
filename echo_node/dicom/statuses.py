"""DIMSE statuses by name, and their meaning for a delivery.

See PS3.4 Annex B.2.3 (C-STORE) and PS3.7 Annex C (all services). The provider answers with these,
and the user classifies answers with `classify`. There is no network here.
"""

from __future__ import annotations

from enum import Enum, IntEnum

from echo_node.domain.ports import DeliveryOutcome
from echo_node.errors import PermanentError, TransientError


class Status(IntEnum):
    """Statuses that the node sends or knows by name."""

    SUCCESS = 0x0000
    PROCESSING_FAILURE = 0x0110
    DUPLICATE_SOP_INSTANCE = 0x0111
    NO_SUCH_SOP_INSTANCE = 0x0112
    INVALID_ARGUMENT_VALUE = 0x0115
    NO_SUCH_SOP_CLASS = 0x0118
    SOP_CLASS_NOT_SUPPORTED = 0x0122
    NO_SUCH_ACTION = 0x0123
    NOT_AUTHORISED = 0x0124
    DUPLICATE_TRANSACTION_UID = 0x0131
    DUPLICATE_INVOCATION = 0x0210
    UNRECOGNISED_OPERATION = 0x0211
    RESOURCE_LIMITATION = 0x0213
    OUT_OF_RESOURCES = 0xA700
    DATA_SET_DOES_NOT_MATCH_SOP_CLASS = 0xA900
    COERCION_OF_DATA_ELEMENTS = 0xB000
    ELEMENTS_DISCARDED = 0xB006
    DATA_SET_DOES_NOT_MATCH_SOP_CLASS_WARNING = 0xB007
    CANNOT_UNDERSTAND = 0xC000


class Verdict(Enum):
    """Meaning of a C-STORE response for the object that was sent."""

    STORED = "stored"
    STORED_WITH_WARNING = "stored with warning"
    TRY_AGAIN = "try again"
    REFUSED = "refused"


_MAY_PASS = {Status.PROCESSING_FAILURE, Status.DUPLICATE_INVOCATION, Status.RESOURCE_LIMITATION}


def classify(status: int) -> Verdict:
    """Return the meaning of the *status* of a C-STORE response.

    Warnings mean stored and are never retried. 0x0111 (duplicate SOP instance) counts as a warning.
    Our UIDs are digests of the object's inputs, so that the peer has this very object, from an
    attempt whose answer was lost. Out of resources and processing failure may pass. A status
    outside the Standard is retried, because attempts are limited anyway.
    """
    if status == Status.SUCCESS:
        return Verdict.STORED
    if 0xB000 <= status <= 0xBFFF or status in {0x0001, 0x0107, 0x0116, Status.DUPLICATE_SOP_INSTANCE}:
        return Verdict.STORED_WITH_WARNING
    if 0xA700 <= status <= 0xA7FF or status in _MAY_PASS:
        return Verdict.TRY_AGAIN
    if 0xA900 <= status <= 0xA9FF or 0xC000 <= status <= 0xCFFF or 0x0100 <= status <= 0x02FF:
        return Verdict.REFUSED
    return Verdict.TRY_AGAIN


def outcome_of(status: int, who: str) -> DeliveryOutcome:
    """Return the outcome of a delivery to *who* by its status.

    Raises:
        TransientError: the status may pass.
        PermanentError: the status will not pass.
    """
    verdict = classify(status)
    if verdict is Verdict.STORED:
        return DeliveryOutcome.SUCCESS
    if verdict is Verdict.STORED_WITH_WARNING:
        return DeliveryOutcome.WARNING
    if verdict is Verdict.TRY_AGAIN:
        raise TransientError(f"{who} cannot store now: {describe(status)}")
    raise PermanentError(f"{who} refused the object: {describe(status)}; see the peer's own log")


def describe(status: int) -> str:
    """Return *status* for a person: its number, and its name if it has one."""
    if 0xA700 <= status <= 0xA7FF:
        name = "out of resources"
    elif 0xA900 <= status <= 0xA9FF:
        name = "data set does not match SOP class"
    elif 0xC000 <= status <= 0xCFFF:
        name = "cannot understand"
    else:
        known = {each.value: each.name for each in Status}
        name = known.get(status, "UNNAMED").lower().replace("_", " ")
    return f"0x{status:04X} ({name})"
