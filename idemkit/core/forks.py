"""Forked children: what a process must drop or renew when it finds itself one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["in_child"]


def in_child(action: Callable[[], object]) -> None:
    """Have `action` called in every child forked from now on; nothing forks on Windows."""
    register: Callable[..., Any] = getattr(os, "register_at_fork", _never)
    register(after_in_child=action)


def _never(*, after_in_child: Callable[[], object]) -> None:
    del after_in_child
