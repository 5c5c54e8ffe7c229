"""What a run came to, as a row of a table."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tests.chaos.history import History
from tests.chaos.judge import Violation

__all__ = ["Row", "table"]

PROMISES = {
    "overlap": "overlaps under a live lease",
    "double outcome": "double outcomes",
    "lost outcome": "lost outcomes",
    "unknown value": "unknown values",
    "hang": "hangs",
    "error": "undocumented errors",
}


@dataclass(frozen=True)
class Row:
    """One run.

    Args:
        store: On which store.
        seconds: How long it took.
        seed: From which seed.
        history: What its logs tell.
        violations: What was broken.
    """

    store: str
    seconds: float
    seed: int
    history: History
    violations: list[Violation]

    def cells(self) -> Mapping[str, object]:
        """Return the columns and what is in them."""
        kinds = self.history.by_kind
        how = Counter(event.text for event in kinds["got"])
        stopped = [event for event in kinds["pause"] if event.text == "stopped"]
        broken = Counter(violation.promise for violation in self.violations)
        return {
            "store": self.store,
            "minutes": f"{self.seconds / 60:.2f}",
            "seed": self.seed,
            "processes": len(kinds["hello"]),
            "keys": len(self.history.stories),
            "calls": len(kinds["call"]),
            "executions": len(kinds["begin"]),
            "replays / joins": f"{how['replayed']} / {how['joined']}",
            "forgotten": len(kinds["forgot"]),
            "kills": len(kinds["dead"]),
            "pauses": len(stopped),
            "restarts": len(kinds["restart"]),
            "flushes": len(kinds["flush"]),
            "outages": len(kinds["outage"]),
            "lost replies": sum(event.count for event in kinds["lost"]),
            "excused errors": len(kinds["error"]) - broken["error"],
            **{column: broken[promise] for promise, column in PROMISES.items()},
        }


def table(rows: Iterable[Row]) -> str:
    """Return a Markdown table of runs."""
    cells = [row.cells() for row in rows]
    head: list[list[object]] = [list(cells[0]), ["---"] * len(cells[0])]
    lines = head + [list(row.values()) for row in cells]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
