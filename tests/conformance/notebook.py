"""What a test and the app it talks to tell each other, in a folder that both know."""

from pathlib import Path

__all__ = ["EVERY_CASE", "Notebook"]

EVERY_CASE = "every-case"


class Notebook:
    """What handlers have begun, and what they wait for.

    Args:
        folder: Where it is kept; every worker process of a server has the same.
    """

    def __init__(self, folder: Path) -> None:
        self._ledger = folder / "ledger"
        self._gates = folder / "gates"
        self._ledger.touch()
        self._gates.mkdir(exist_ok=True)

    def enter(self, work: str, case: str) -> int:
        """Write down that a piece of work begins; return how often it has, for this case."""
        # One short write to a file opened for appending is never torn by another process.
        with self._ledger.open("a", encoding="utf-8") as ledger:
            ledger.write(f"{work} {case}\n")
        return self.entries(work, case)

    def entries(self, work: str, case: str) -> int:
        """Return how often a piece of work has begun for this case."""
        return self._ledger.read_text("utf-8").splitlines().count(f"{work} {case}")

    def open(self, case: str) -> None:
        """Let the handlers of a case, or of every one, go on."""
        (self._gates / case).touch()

    def is_open(self, case: str) -> bool:
        """Say whether the handlers of a case may go on."""
        return any((self._gates / gate).exists() for gate in (case, EVERY_CASE))
