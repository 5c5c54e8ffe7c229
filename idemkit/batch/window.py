"""The items between the next to be handed out and the last that was looked up."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

from ..around import awaited
from ..core.colour import ASYNC, SYNC
from ..core.ending import outcome_of, value_of
from ..core.execution import Execution
from ..errors import StoreError
from ..stores.base import LOOK_UP_BYTES
from .crew import Crew
from .places import Place
from .progress import Count

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..core.call import Call, Replay
    from ..core.keys import Receiver
    from ..guards import Bound, Guard
    from .source import Source
    from .terms import Terms

__all__ = ["Window"]

PAGE: Final = 500
"""Items that are looked up in one round trip."""

WIDTH: Final = 8 * PAGE
"""Items, from which on nobody looks further ahead for work."""

BYTES: Final = 4 * LOOK_UP_BYTES
"""Of outcomes to be replayed, likewise."""


class Window:
    """Look items up a page at a time, let run what must, and hand all out in order.

    Args:
        guard: Of the function.
        bound: The function, as the configuration in force sees it.
        source: The items.
        terms: How to go over them.
        first: What the function is called with before an item.
        receiver: What a method is called on.
    """

    def __init__(
        self,
        guard: Guard,
        bound: Bound,
        source: Source,
        terms: Terms,
        first: tuple[Any, ...],
        receiver: Receiver | None,
    ) -> None:
        self._guard = guard
        self._bound = bound
        self._source = source
        self._strict = terms.on_error == "raise"
        self._read: Callable[..., Any] = value_of if self._strict else outcome_of
        self._first = first
        self._receiver = receiver
        self._count = Count(terms.progress, source.total)
        self._crew = Crew(
            ASYNC if guard.caller == "async" else SYNC,
            self._run,
            size=terms.concurrency,
            strict=self._strict,
        )
        self._taken = 0
        self._held = 0
        self._unasked: deque[Place] = deque()
        self._places: deque[Place] = deque()

    async def next(self) -> Place | None:
        """Return the next place that has come to something; None after the last."""
        while not (self._places and self._places[0].ended):
            if self._looks_further():
                await self._look_ahead()
            elif self._places:
                await self._crew.step()
            else:
                return None
        place = self._places.popleft()
        self._held -= place.held
        return place

    def result(self, place: Place) -> Any:
        """Return what the caller gets for an item, or raise it."""
        try:
            came = place.taken()
            result = self._read(came, self._bound.codec, self._bound.policy)
        except Exception as error:
            self._count.add("failed", None)
            if self._strict or place.broken:
                raise
            return place.failure(error)
        value = self._guard.told(came, result if self._strict else result.value)
        self._count.add(came.kind, value)
        return result

    async def rest(self) -> None:
        """Let nothing begin, and wait for the end of what runs."""
        await self._crew.rest()

    async def close(self) -> None:
        """Let nothing begin, stop what can be stopped, and wait for the end of the others."""
        try:
            await self._crew.close()
        finally:
            self._count.close()

    def _looks_further(self) -> bool:
        """Say whether there is more to look up, and reason to."""
        if self._source.exhausted and not self._unasked:
            return False
        room = len(self._places) < WIDTH and self._held < BYTES
        return not self._places or (room and self._crew.short)

    async def _look_ahead(self) -> None:
        """Look up the next page, or what is left of one."""
        if not self._unasked:
            await self._take_page()
        asked = [place for place in self._unasked if not place.ended]
        replays = await self._look_up([place.call for place in asked])
        for place, replay in zip(asked, replays, strict=False):
            place.came = replay
        beyond = asked[len(replays)] if len(replays) < len(asked) else None
        while self._unasked and self._unasked[0] is not beyond:
            self._admit(self._unasked.popleft())

    async def _take_page(self) -> None:
        self._unasked.extend([self._place(item) for item in await self._source.page(PAGE)])
        if self._source.error is not None:
            place = self._next_place()
            place.error, place.broken = self._source.error, True
            self._unasked.append(place)

    def _place(self, item: Any) -> Place:
        place = self._next_place()
        try:
            place.call = self._guard.identified(
                self._bound, (*self._first, item), {}, self._receiver
            )
        except Exception as error:  # noqa: BLE001 - as any failure of an item
            place.error = error
        return place

    def _next_place(self) -> Place:
        place = Place(self._taken)
        self._taken += 1
        return place

    async def _look_up(self, calls: Sequence[Call]) -> Sequence[Replay | None]:
        if not calls:
            return ()
        try:
            return await self._bound.engine.look_up(calls)
        except StoreError:  # each call hears it for itself, and its policy says what then
            return [None] * len(calls)

    def _admit(self, place: Place) -> None:
        self._places.append(place)
        place.held = place.size
        self._held += place.held
        if place.ended:
            self._crew.note(place)
        else:
            self._crew.enlist(place)

    async def _run(self, place: Place) -> None:
        """Let a call come to something, as any other would."""
        guard, bound = self._guard, self._bound
        try:
            known = bound.engine.recall(place.call)
            came = known or await awaited(guard.begin(bound, place.call))
            if isinstance(came, Execution):
                place.execution = came
                came = await awaited(guard.execute(bound, came))
            place.came = came
        except Exception as error:  # noqa: BLE001 - for whoever gets there
            place.error = error
