"""What `import idemkit` costs a fresh interpreter."""

from __future__ import annotations

import subprocess
import sys
from statistics import median
from time import perf_counter

from .rows import Row

RUNS = 15


def rows() -> list[Row]:
    """Return the row of the table."""
    bare, loaded = [], []
    for _ in range(RUNS):
        bare.append(_seconds("pass"))
        loaded.append(_seconds("import idemkit"))
    floor = median(bare)
    extra = median(loaded) - floor
    return [
        Row(
            "import idemkit",
            floor + extra,
            "bare interpreter",
            floor,
            limit=floor + 0.060,
            note=f"{extra * 1000:.0f} ms more",
        )
    ]


def _seconds(code: str) -> float:
    started = perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return perf_counter() - started
