"""Make calls idempotent: run once, replay to everybody else."""

from . import errors
from .core.call import Outcome
from .core.verdict import Done, NotDone, Unknown
from .decorator import idempotent
from .effects import current, side_effect
from .errors import *  # noqa: F403 - the tree is listed once, in `errors.__all__`
from .idempotency import Idempotency, configure

__version__ = "0.1.0"

__all__ = [  # noqa: PLE0604 - likewise
    "Done",
    "Idempotency",
    "NotDone",
    "Outcome",
    "Unknown",
    "configure",
    "current",
    "errors",
    "idempotent",
    "side_effect",
    *errors.__all__,
]
