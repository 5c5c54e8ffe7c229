"""What a caller has been given of an answer, and what was not paid for again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ...core import telemetry
from ...llm import Watch, saved

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...core.call import Call
    from ...llm import Price
    from ..follower import Answer
    from .occurrences import Ticket

__all__ = ["Savings"]

_UNDER_WAY: Final = frozenset({"in_progress", "queued"})


class Savings:
    """Follow what one caller is given.

    Args:
        prices: Of models, by name.
        call: What was asked.
        answer: What is given.
        ticket: Marked when the caller has all of it.
    """

    def __init__(
        self,
        prices: Mapping[str, Price],
        call: Call,
        answer: Answer,
        ticket: Ticket | None,
    ) -> None:
        self._prices = prices
        self._call = call
        self._ticket = ticket if answer.head.kept else None
        self._saved = answer.kind in ("joined", "replayed") and telemetry.active()
        self._watch: Watch | None = None
        if self._saved or self._ticket is not None:
            self._watch = Watch(call.kwargs["request"])
            self._watch.start(answer.head.status, answer.head.headers)

    def told(self, part: bytes | None) -> None:
        """Take note of a part that the caller has, or of the end."""
        watch = self._watch
        if watch is None:
            return
        if part is None:
            watch.end()
        else:
            watch.take(part)
        if part is None or watch.complete:
            self._watch = None
            self._delivered(watch)
        elif self._ticket is not None and _ends(watch):
            self._ticket.delivered()  # many readers leave when they have heard why it ends

    def left(self) -> None:
        """Take note that the caller reads no more."""
        watch, self._watch = self._watch, None
        if watch is not None and self._saved and _ends(watch):
            self._tell(watch)

    def _delivered(self, watch: Watch) -> None:
        if self._ticket is not None and not watch.failed:
            self._ticket.delivered()
        if self._saved:
            self._tell(watch)

    def _tell(self, watch: Watch) -> None:
        saved(self._call.operation, watch.result, prices=self._prices)


def _ends(watch: Watch) -> bool:
    """Say whether an answer has told why it ends, though its last event may be to come."""
    return not _UNDER_WAY.issuperset(watch.result.finish_reasons)
