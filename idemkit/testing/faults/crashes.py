"""Crashes at named points: processes that die there, and what their callers find afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ...points import POINTS, listen, unlisten

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ...points import Listener

__all__ = ["DIED", "DIE_AT", "Crash", "arm_from_environment", "die_at", "on_point", "sweep"]

DIE_AT: Final = "IDEMKIT_DIE_AT"
"""The environment variable that `arm_from_environment` reads."""

DIED: Final = 86
"""The exit code of a process that died at a point."""


@contextmanager
def on_point(listener: Listener) -> Iterator[None]:
    """Tell `listener` of every point that a guarded call passes inside the block.

    Args:
        listener: Called with the point's name, and with what the point is about, if anything. What
            it raises is raised there.
    """
    listen(listener)
    try:
        yield
    finally:
        unlisten(listener)


def die_at(name: str, *, nth: int = 1) -> None:
    """Let this process die, without cleaning up, when it passes a point for the nth time.

    Raises:
        ValueError: There is no such point.
    """
    if name not in POINTS:
        message = f"no point is called {name!r}; there are {', '.join(POINTS)}"
        raise ValueError(message)
    left = nth

    def die(passed: str, /, *_: Any) -> None:
        nonlocal left
        left -= passed == name
        if not left:
            os._exit(DIED)

    listen(die)


def arm_from_environment() -> None:
    """Let this process die at the point that `$IDEMKIT_DIE_AT` names, if it names one."""
    name = os.environ.get(DIE_AT)
    if name:
        die_at(name)


class Crash(NamedTuple):
    """One run of a program that was to die.

    Args:
        point: Where.
        code: Its exit code: `DIED`, unless it came to its own end without passing the point.
    """

    point: str
    code: int

    @property
    def died(self) -> bool:
        """Whether it passed the point, and died there."""
        return self.code == DIED


def sweep(
    program: str | Sequence[str],
    *,
    points: Iterable[str] = tuple(POINTS),
    environment: Mapping[str, str] | None = None,
    timeout: float = 60.0,
) -> Iterator[Crash]:
    """Run a program once per point, each time to die there; yield after each, to look around.

    Args:
        program: A command line, or the name of a Python module. It calls `arm_from_environment()`
            before its first guarded call.
        points: Where it is to die.
        environment: Its environment; None passes this process's on.
        timeout: Seconds that one run may take.

    Raises:
        subprocess.TimeoutExpired: It took longer, and was killed.
    """
    command = [sys.executable, "-m", program] if isinstance(program, str) else list(program)
    base = os.environ if environment is None else environment
    for name in points:
        done = subprocess.run(  # noqa: S603 - the caller's own program
            command, env={**base, DIE_AT: name}, timeout=timeout, check=False
        )
        yield Crash(name, done.returncode)
