"""Examples as real processes, each in a folder of its test's own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["DEADLINE", "ROOT", "run", "started"]

ROOT = Path(__file__).parents[2]
DEADLINE = 240.0


@contextmanager
def started(
    program: str, *arguments: str, folder: Path, **variables: str
) -> Iterator[subprocess.Popen[str]]:
    """Run an example beside the block, with its output in a pipe; it is gone when the block is."""
    usual = {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", "PYTHONWARNINGS": "error"}
    with subprocess.Popen(
        [sys.executable, str(ROOT / "examples" / program), *arguments],
        cwd=folder,
        env=os.environ | usual | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def run(program: str, *arguments: str, folder: Path, **variables: str) -> tuple[int, str, str]:
    """Run an example to its end; return its exit code, output and complaints."""
    with started(program, *arguments, folder=folder, **variables) as process:
        output, complaints = process.communicate(timeout=DEADLINE)
        return process.returncode, output, complaints
