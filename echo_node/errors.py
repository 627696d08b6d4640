"""Every exception that echo-node raises on purpose.

    EchoNodeError
    ├── ConfigError          a setting is wrong: the process does not start (exit code 2)
    ├── InstanceRejected     a C-STORE or N-ACTION is refused: carries the DIMSE status that the peer gets
    ├── LeaseLost            a worker was taken for dead: its result must not count
    ├── TransientError       try again later: back-off, then a dead letter
    │   └── Unavailable      what all work needs is away: it is given back, and counts as not tried
    └── PermanentError       trying again cannot help: straight to the dead letters, with the reason
        ├── NotEligible      the study is not one to draft: it ends as skipped, with the reason
        └── CheckpointError  a model checkpoint that cannot be used as it is

The class decides what happens, never the text. Messages say what happened, to what, and what to do;
they carry no patient data, since they reach logs and the console.
"""

from __future__ import annotations


class EchoNodeError(Exception):
    """The root of the tree."""


class ConfigError(EchoNodeError):
    """A setting is missing, unknown or impossible."""


class InstanceRejected(EchoNodeError):
    """An instance, or a request about instances, cannot be accepted.

    Attributes:
        status: the DIMSE status (PS3.4 Annex B.2.3, PS3.7 Annex C) that answers it.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class LeaseLost(EchoNodeError):
    """The work belongs to another worker by now, or to nobody: what this one made of it is dropped."""


class TransientError(EchoNodeError):
    """The operation failed for a reason that may pass."""


class Unavailable(TransientError):
    """What every piece of work needs is away, such as the object store: no work is to blame for it."""


class PermanentError(EchoNodeError):
    """The operation failed for a reason that repeating it cannot mend."""


class NotEligible(PermanentError):
    """The study holds nothing that the model may be asked to draft from."""


class CheckpointError(PermanentError):
    """A model checkpoint is absent, truncated, incomplete or of another kind."""
