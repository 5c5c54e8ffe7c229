"""A small model server that really samples, from what Python says about itself.

The model is an n-gram model of the standard library's docstrings, built when it is first needed.
It knows nothing, but every call costs tokens and time and gives another answer, and that is all
a demonstration of repeated calls needs.
"""

from .faults import Break, Drop, Fault, Pass, Refuse, Slow, Truncate
from .journal import Logged
from .meter import Stats
from .model import MODEL_NAME
from .server import LocalLLM

__all__ = [
    "MODEL_NAME",
    "Break",
    "Drop",
    "Fault",
    "LocalLLM",
    "Logged",
    "Pass",
    "Refuse",
    "Slow",
    "Stats",
    "Truncate",
]
