"""Run every benchmark, print the table, and put it into `docs/performance.md`."""

from __future__ import annotations

import platform
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .rows import Row

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"
BENCHMARKS = (
    "keys",
    "memory",
    "sqlite",
    "redis",
    "streams",
    "storm",
    "http",
    "map",
    "transport",
    "import",
)


def duration(seconds: float) -> str:
    """Return seconds as people read them."""
    if seconds < 1e-3:
        return f"{seconds * 1e6:.2f} µs"
    return f"{seconds * 1e3:.1f} ms"


def bar(row: Row) -> str:
    """Return what a row promises, and whether it keeps it."""
    promise = f"≤ {row.bar:g} ×" if row.bar is not None else f"≤ {duration(row.limit or 0.0)}"
    return f"{promise} {'met' if row.met else '**missed**'}"


def table(rows: list[Row]) -> Iterator[str]:
    """Return the lines of the table, as Markdown."""
    yield "| work | idemkit | floor | floor takes | ratio | bar | |"
    yield "|---|---:|---|---:|---:|---|---|"
    for row in rows:
        cells = (row.work, duration(row.seconds), row.floor, duration(row.floor_seconds))
        yield f"| {' | '.join(cells)} | {row.ratio:.2f} × | {bar(row)} | {row.note} |"


def machine() -> str:
    """Return what the figures were measured on."""
    python = platform.python_version()
    return f"Python {python}, {platform.system()} {platform.machine()}, loopback."


def main(names: list[str]) -> None:
    """Measure the named benchmarks, or all of them; only a whole run rewrites the page."""
    rows: list[Row] = []
    for name in BENCHMARKS:
        if not names or name in names:
            print(f"measuring {name} …", file=sys.stderr, flush=True)
            # Not before its turn: redis-py brings modules that a user of memory does not have.
            rows += import_module(f"benchmarks.bench_{name}").rows()
    lines = "\n".join([machine(), "", *table(rows)])
    print(lines)
    if not names:
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        after = rest.partition(END)[2]
        PAGE.write_text(f"{before}{BEGIN}\n{lines}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
