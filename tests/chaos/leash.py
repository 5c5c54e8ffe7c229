"""Processes that end with the one that started them, even if that is killed."""

import ctypes
import signal
import sys

__all__ = ["LEASHED", "bind"]

PR_SET_PDEATHSIG = 1


def bind() -> None:
    """Let the kernel kill this process when its parent ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


# What a process has bound itself to still holds for the program that it becomes.
_PROGRAM = f"""
import ctypes, os, sys
ctypes.CDLL(None).prctl({PR_SET_PDEATHSIG}, {int(signal.SIGKILL)})
os.execv(sys.argv[1], sys.argv[1:])
"""

LEASHED = (sys.executable, "-c", _PROGRAM)
"""Goes before the command of a program that is to end likewise."""
