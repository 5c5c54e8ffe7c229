"""The stage: a model server, a store, and the meters that are read around every scene."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from local_llm import LocalLLM
from rich.console import Console

from idemkit import Idempotency

__all__ = ["Bill", "Scene", "Stage"]


@dataclass(frozen=True, slots=True)
class Bill:
    """What one way of calling cost, read from the server's meter and the audit log.

    Args:
        answers: What the callers got, in their order.
        lines: The audit log.
        tokens: Prompt and completion together.
    """

    answers: tuple[str, ...]
    lines: tuple[str, ...]
    inferences: int
    tokens: int

    @property
    def different(self) -> int:
        """Return the number of different answers."""
        return len(set(self.answers))


@dataclass(frozen=True, slots=True)
class Scene:
    """The same calls, made without idemkit and with it.

    Args:
        calls: How many of them differ, so how many need to run.
        lost: Inferences cut off by a kill, which nobody can give back.
    """

    title: str
    calls: int
    lost: int
    plain: Bill
    guarded: Bill

    def broken(self) -> list[str]:
        """Return the promises that did not hold."""
        most, calls = self.calls + self.lost, self.calls
        plain, guarded = self.plain, self.guarded
        promises = {
            f"at most {most} inferences, not {guarded.inferences}": guarded.inferences <= most,
            f"{calls} different answers, not {guarded.different}": guarded.different == calls,
            f"{calls} audit lines, not {len(guarded.lines)}": len(guarded.lines) == calls,
            f"fewer tokens than {plain.tokens}, not {guarded.tokens}": (
                guarded.tokens < plain.tokens
            ),
            f"without idemkit {len(plain.answers)} different answers, not {plain.different}": (
                plain.different == len(plain.answers)
            ),
        }
        return [f"{self.title}: {promise}" for promise, held in promises.items() if not held]


@dataclass(frozen=True, slots=True)
class Stage:
    """What the acts play with.

    Args:
        store: The URL of the store that `idem` uses.
        folder: Where audit logs go.
    """

    console: Console
    llm: LocalLLM
    idem: Idempotency
    store: str
    folder: Path

    @property
    def outlives_processes(self) -> bool:
        """Return whether a killed process leaves its records behind."""
        return not self.store.startswith("memory:")

    def bill(self, perform: Callable[[], list[str]]) -> Bill:
        """Perform the calls, with an audit log of their own, and return what they cost."""
        log = self.folder / f"audit-{len(list(self.folder.iterdir()))}.log"
        log.touch()
        os.environ["AUDIT_LOG"] = str(log)
        before = self.llm.stats()
        answers = perform()
        after = self.llm.stats()
        return Bill(
            answers=tuple(answers),
            lines=tuple(log.read_text(encoding="utf-8").splitlines()),
            inferences=after.inferences - before.inferences,
            tokens=after.total_tokens - before.total_tokens,
        )
