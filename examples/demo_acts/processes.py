"""Processes of the demo that are there to be killed."""

import os
import subprocess
import sys
from pathlib import Path

__all__ = ["started"]


def started(*arguments: str, store: str) -> subprocess.Popen[str]:
    """Start a worker, with its output in a pipe.

    Args:
        arguments: Its command line.
        store: URL of the store that it guards with, if it guards.
    """
    folder = str(Path(__file__).parents[1])
    path = os.pathsep.join(filter(None, [folder, os.environ.get("PYTHONPATH")]))
    # A URL may hold a password, and everybody can read command lines.
    environment = {**os.environ, "PYTHONPATH": path, "IDEMKIT_STORE": store}
    # -P: what is installed counts, for it as for us, and not what lies in the current folder.
    return subprocess.Popen(  # noqa: S603 - ourselves
        [sys.executable, "-P", "-m", "demo_acts.worker", *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
