"""Faults on demand: messages that get lost on the way to a store, and crashes at named points."""

from ...points import POINTS, point
from .crashes import DIE_AT, DIED, Crash, arm_from_environment, die_at, on_point, sweep
from .mishaps import (
    Mishap,
    Send,
    delayed,
    duplicated,
    followed_by,
    preceded_by,
    raising,
    reply_lost,
    request_lost,
    straight,
)
from .store import FaultyStore

__all__ = [
    "DIED",
    "DIE_AT",
    "POINTS",
    "Crash",
    "FaultyStore",
    "Mishap",
    "Send",
    "arm_from_environment",
    "delayed",
    "die_at",
    "duplicated",
    "followed_by",
    "on_point",
    "point",
    "preceded_by",
    "raising",
    "reply_lost",
    "request_lost",
    "straight",
    "sweep",
]
