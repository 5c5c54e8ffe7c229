"""The stage: a model server, a store, and the meters that are read around every scene."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote

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

    def cut(self) -> "Bill":
        """Return the bill with all answers cut to the length of the shortest."""
        shortest = min(map(len, self.answers))
        return replace(self, answers=tuple(answer[:shortest] for answer in self.answers))


@dataclass(frozen=True, slots=True)
class Scene:
    """The same calls, made without idemkit and with it.

    Args:
        calls: How many of them differ, so how many need to run.
        lost: Inferences cut off by a kill, which nobody can give back.
        further: Promises of this act alone, and whether they held.
    """

    title: str
    calls: int
    lost: int
    plain: Bill
    guarded: Bill
    further: Mapping[str, bool] = field(default_factory=dict)

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
            **self.further,
        }
        return [f"{self.title}: {promise}" for promise, held in promises.items() if not held]


@dataclass(frozen=True, slots=True)
class Stage:
    """What the acts play with.

    Args:
        store: The URL of the store that `idem` uses.
        folder: Where files go, such as audit logs.
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

    @property
    def lasting_store(self) -> str:
        """Return the URL of a store that outlives processes: `store`, or a SQLite file."""
        if self.outlives_processes:
            return self.store
        return f"sqlite:///{quote(str(self.folder / 'records.db'))}"

    def bill(self, perform: Callable[[], list[str]]) -> Bill:
        """Perform the calls, with an audit log of their own, and return what they cost."""
        log = self.folder / f"audit-{len(list(self.folder.glob('audit-*')))}.log"
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
