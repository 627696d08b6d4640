"""Every exception that echo-node raises on purpose.

    EchoNodeError
    ├── ConfigError          invalid setting: the process does not start (exit code 2)
    ├── InstanceRejected     rejected C-STORE or N-ACTION: has the DIMSE status for the peer
    ├── LeaseLost            worker that was considered dead: its result must not count
    ├── TransientError       retry later: backoff, then a dead letter
    │   └── Unavailable      missing resource of all work: release the claim, count no attempt
    └── PermanentError       a retry cannot help: a dead letter at once, with the reason
        ├── NotEligible      study that must not be drafted: it is skipped, with the reason
        ├── MustBeHeld       study that needs a decision by an operator
        └── CheckpointError  model checkpoint that is unusable

The class decides what happens, never the text. A message says what happened, to what, and what to
do. It has no patient data, since it reaches logs and the console.
"""

from __future__ import annotations


class EchoNodeError(Exception):
    """Root of the tree."""


class ConfigError(EchoNodeError):
    """A setting is missing, unknown or invalid."""


class InstanceRejected(EchoNodeError):
    """An instance, or a request about instances, cannot be accepted.

    Attributes:
        status: DIMSE status of the response (PS3.4 Annex B.2.3, PS3.7 Annex C).
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class LeaseLost(EchoNodeError):
    """This worker no longer has a claim on the work, so its result is dropped."""


class TransientError(EchoNodeError):
    """The operation failed for a reason that may be temporary."""


class Unavailable(TransientError):
    """A resource that all work needs, such as the object store, is unavailable."""


class PermanentError(EchoNodeError):
    """The operation failed for a reason that a retry cannot fix."""


class NotEligible(PermanentError):
    """The study contains no image that the model may draft from."""


class MustBeHeld(PermanentError):
    """The study needs a decision by an operator before it may be drafted.

    Its images are of two patients, for example, or an identifying value cannot be written validly.

    Attributes:
        attributes: DICOM keywords of the attributes that are the reason.
    """

    def __init__(self, message: str, attributes: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.attributes = attributes


class CheckpointError(PermanentError):
    """A model checkpoint is missing, truncated, incomplete or of another kind."""
