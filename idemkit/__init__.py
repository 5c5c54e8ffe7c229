"""Make calls idempotent: run once, replay to everybody else."""

from . import errors
from .core.call import Outcome
from .core.verdict import Done, NotDone, Unknown
from .decorator import idempotent
from .effects import current, side_effect, step
from .errors import (
    ClaimLostError,
    IdemkitDeprecationWarning,
    IdemkitWarning,
    IdempotencyError,
    InDoubtError,
    InProgressError,
    KeyReusedError,
    MaxRunExceededError,
    NonDeterministicStepError,
    PoisonedError,
    RecordedError,
    ReentrantCallError,
    ResultError,
    ResultNotSerializableError,
    ResultUnavailableError,
    ResultUnreadableError,
    StoreError,
    StoreFullError,
    StoreUnavailableError,
    StoreVersionError,
    StreamError,
    StreamGapError,
    StreamInterruptedError,
)
from .idempotency import Idempotency, configure
from .streams import AsyncStream, Stream

__version__ = "0.1.0"

__all__ = [
    "AsyncStream",
    "ClaimLostError",
    "Done",
    "IdemkitDeprecationWarning",
    "IdemkitWarning",
    "Idempotency",
    "IdempotencyError",
    "InDoubtError",
    "InProgressError",
    "KeyReusedError",
    "MaxRunExceededError",
    "NonDeterministicStepError",
    "NotDone",
    "Outcome",
    "PoisonedError",
    "RecordedError",
    "ReentrantCallError",
    "ResultError",
    "ResultNotSerializableError",
    "ResultUnavailableError",
    "ResultUnreadableError",
    "StoreError",
    "StoreFullError",
    "StoreUnavailableError",
    "StoreVersionError",
    "Stream",
    "StreamError",
    "StreamGapError",
    "StreamInterruptedError",
    "Unknown",
    "configure",
    "current",
    "errors",
    "idempotent",
    "side_effect",
    "step",
]
