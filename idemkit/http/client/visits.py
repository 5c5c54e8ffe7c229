"""One caller's request: attach to it, or have it sent, and turn what comes into a response.

Colour-blind: a task awaits it, and a thread drives it.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from ...core.execution import Execution
from ...errors import (
    IdempotencyError,
    InProgressError,
    ReentrantCallError,
    StreamInterruptedError,
)
from ..answers import Head
from ..door import REPLAYED, UNGUARDED
from ..follower import Answer, Follower
from ..problems import of_error, render
from ..views import Headers
from .dialects import dialect_of
from .replies import Reply, patience_of
from .savings import Savings

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...core.reading import Reader
    from ..problems import Problem
    from .dialects import Dialect
    from .fetches import Fetch
    from .gate import Errand, Gate

__all__ = ["Visit", "refusal"]

_CONFLICTS: Final = (409, 422)


def refusal(dialect: Dialect, problem: Problem) -> Any:
    """Return a refusal as a response: some SDKs would take an exception for a lost connection."""
    if problem.status in _CONFLICTS:
        problem = replace(problem, retry=False, retry_after=None)
    status, fields, body = render(problem)
    return dialect.response(Head(status, Headers(fields)), dialect.whole(body), ())


class Visit:
    """One request of one caller.

    Args:
        gate: How it is guarded.
        errand: What it asks for.
        request: The same, as the caller's library has it.
        fetch: Has it sent, under a claim.
    """

    def __init__(
        self, gate: Gate, errand: Errand, request: Any, fetch: Callable[[Execution], Fetch]
    ) -> None:
        self._gate = gate
        self._case = errand.case
        self._ticket = errand.ticket
        self._request = request
        self._begin = fetch
        self._dialect = dialect_of(request)
        self._patience = patience_of(request)
        wait = min(gate.settings.wait_seconds, self._patience)
        self._follower = Follower(
            gate.engine, errand.case, wait, takes_over=False, blocks=gate.blocks
        )
        self._fetch: Fetch | None = None
        self._savings: Savings | None = None

    async def answer(self) -> Any:
        """Return the response.

        Raises:
            Exception: What the caller's library raises, or its transport has raised.
        """
        try:
            return self._response(self._follower.recall() or await self._arrive())
        except IdempotencyError as error:
            self._leave()
            return self._refused(error)
        except BaseException:
            self._leave()
            raise

    async def _arrive(self) -> Answer:
        while True:
            begun = await self._follower.arrive(_nobody)
            if not isinstance(begun, Execution):
                return begun
            answer = await self._lead(begun)
            if answer is not None:
                return answer

    async def _lead(self, execution: Execution) -> Answer | None:
        """Return the answer that is fetched for us; None if another has it fetched."""
        self._fetch = fetch = self._begin(execution)
        reader = self._follower.listen(fetch.feed)
        fetch.begin()
        try:
            return await self._first(fetch, reader)
        except StreamInterruptedError as told:
            if not fetch.taken_over:
                heard = self._heard(told)
                raise heard from heard.__cause__
        self._follower.leave()
        self._fetch = None
        return None

    async def _first(self, fetch: Fetch, reader: Reader) -> Answer:
        try:
            return fetch.answer(await reader.next(time.monotonic() + self._patience), reader)
        except TimeoutError:
            raise self._dialect.tired(self._request) from None

    def _refused(self, error: IdempotencyError) -> Any:
        """Return the response for an error of ours, or raise what it means to the caller."""
        if self._fetch is not None and error is self._fetch.error and not self._is_ours(error):
            raise error
        if isinstance(error, ReentrantCallError):
            raise error  # a mistake of the program, and no answer to its request
        if isinstance(error, InProgressError) and self._is_impatient():
            raise self._dialect.tired(self._request) from None
        if not isinstance(error, StreamInterruptedError):
            return refusal(self._dialect, of_error(error))
        if not error.cancelled:
            raise self._dialect.broken(str(error), self._request) from None
        return refusal(self._dialect, replace(of_error(error), status=409))

    def _heard(self, told: IdempotencyError) -> BaseException:
        """Return what a fetch of ours has ended with, or what others are told of it."""
        return told if self._fetch is None else self._fetch.error or told

    def _broken(self, error: IdempotencyError) -> BaseException:
        """Return what a caller hears when the rest of a body does not come."""
        heard = self._heard(error)
        if isinstance(heard, IdempotencyError) and self._is_ours(heard):
            return self._dialect.broken(str(heard), self._request)
        return heard

    def _is_impatient(self) -> bool:
        """Say whether a wait is over because the caller gives up, and not by a setting."""
        settings = self._gate.settings
        return settings.on_duplicate == "wait" and self._patience < settings.wait_seconds

    def _is_ours(self, error: IdempotencyError) -> bool:
        return error.key == self._case.call.key

    # -------------------------------------------------------------------------- the response

    def _response(self, answer: Answer) -> Any:
        prices = self._gate.settings.prices
        self._savings = savings = Savings(prices, self._case.call, answer, self._ticket)
        if answer.whole is not None:
            savings.told(answer.whole)
            savings.told(None)
            stream = self._dialect.whole(answer.whole)
            self._leave()
        else:
            reply = Reply(
                self._follower,
                answer,
                self._request,
                self._dialect,
                told=savings.told,
                over=self._leave,
                broken=self._broken,
            )
            body = self._dialect.blocking if self._gate.blocks else self._dialect.awaiting
            stream = body(reply)
        return self._dialect.response(answer.head, stream, self._marks(answer))

    def _marks(self, answer: Answer) -> tuple[tuple[str, str], ...]:
        if answer.kind in ("joined", "replayed"):
            return (REPLAYED,)
        if answer.kind == "unprotected":
            return ((UNGUARDED, "store-unavailable"),)
        return ()

    def _leave(self) -> None:
        self._follower.leave()
        if self._savings is not None:
            self._savings.left()
        if self._ticket is not None:
            self._ticket.returned()


def _nobody() -> None:
    """Tell nobody that it waits."""
