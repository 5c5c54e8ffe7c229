"""Logs written by hand, for the judge to judge."""

from typing import Any

from tests.chaos.events import Event

__all__ = ["Log"]


class Log:
    """Events of one key, unless they say otherwise."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def note(self, kind: str, who: str, at: float, **facts: Any) -> None:
        """Write down that something happened."""
        self.events.append(Event(kind, who, at, **facts))

    def call(self, who: str, call: int, at: float, *, text: str = "") -> None:
        """Begin a call."""
        self.note("call", who, at, key="k", call=call, text=text)

    def begin(self, who: str, call: int, at: float, *, claimed: float | None = None) -> str:
        """Begin the execution of a call, and return its name."""
        claimed = at if claimed is None else claimed
        run = f"{who}/{call}"
        fence = round(claimed * 1000)
        self.note("begin", who, at, key="k", call=call, run=run, fence=fence, claimed=claimed)
        return run

    def end(self, who: str, call: int, at: float, *, kind: str = "end") -> None:
        """End the execution of a call."""
        self.note(kind, who, at, key="k", call=call, run=f"{who}/{call}")

    def got(
        self, who: str, call: int, at: float, run: str, *, how: str = "", recorded: bool = True
    ) -> None:
        """End a call with a value."""
        facts = {"key": "k", "call": call, "run": run, "text": how, "recorded": recorded}
        self.note("got", who, at, **facts)

    def ended(self, kind: str, who: str, call: int, at: float, *, text: str = "") -> None:
        """End a call in another way."""
        self.note(kind, who, at, key="k", call=call, text=text)

    def runs(self, who: str, call: int, since: float, until: float) -> str:
        """Write down a whole execution whose caller gets its value."""
        self.call(who, call, since)
        run = self.begin(who, call, since)
        self.end(who, call, until)
        self.got(who, call, until, run, how="executed")
        return run

    def replays(self, who: str, call: int, at: float, run: str) -> None:
        """Write down a call that gets what was recorded."""
        self.call(who, call, at)
        self.got(who, call, at, run, how="replayed")

    def forgets(self, who: str, call: int, since: float, until: float) -> None:
        """Write down that the key was forgotten."""
        self.note("forget", who, since, key="k", call=call)
        self.ended("forgot", who, call, until)

    def lasts(self, kind: str, who: str, since: float, until: float, **facts: Any) -> None:
        """Write down what lasted."""
        self.note(kind, who, until, since=since, **facts)
