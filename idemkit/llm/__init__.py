"""Requests to models: what makes two of them one, when an answer is whole, and what it took."""

from .answers import Result, complete, usage
from .determinacy import Determinism, determinism, ttl
from .identities import Level, identity, whose
from .prices import Price, cost
from .profiles import Profile, profile
from .requests import Request
from .savings import saved
from .usages import Usage
from .watch import Watch

__all__ = [
    "Determinism",
    "Level",
    "Price",
    "Profile",
    "Request",
    "Result",
    "Usage",
    "Watch",
    "complete",
    "cost",
    "determinism",
    "identity",
    "profile",
    "saved",
    "ttl",
    "usage",
    "whose",
]
