"""The two transports: below an SDK, above the network."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from ...core.colour import ASYNC, SYNC, drive
from ...errors import StoreUnavailableError
from ...llm import Request
from ...producers import part_with, under_way
from ..problems import malformed, of_error
from ..syntax import MalformedKeyError
from .connections import Connections
from .dialects import dialect_of
from .fetches import AsyncFetch, ThreadFetch
from .gate import Gate
from .settings import Settings
from .visits import Visit, refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Self

    import httpx
    import httpx2

    from ...core.colour import Frame
    from ...core.execution import Execution
    from ...core.policy import TTL, Duration, OnDuplicate
    from ...llm import Price, Result
    from ...operation import Configuration
    from ..policy import Derive
    from .fetches import Fetch

__all__ = ["AsyncIdempotentTransport", "IdempotentTransport"]

if TYPE_CHECKING:
    # To type checkers the transports are what clients ask for. At run time they are not: some SDKs
    # look through the ancestors of what they are given, and refuse those of the other library.
    class _Blocking(httpx2.BaseTransport, httpx.BaseTransport): ...  # type: ignore[misc]

    class _Awaiting(httpx2.AsyncBaseTransport, httpx.AsyncBaseTransport): ...  # type: ignore[misc]
else:
    _Blocking = _Awaiting = object

PATIENCE: Final = 600.0
"""Seconds of silence after which an answer is given up, as the SDKs have it."""


class _Transport:
    """What both colours share."""

    _frame: Frame
    _verb: str
    _kind: type[AsyncFetch | ThreadFetch]

    def __init__(  # noqa: PLR0913 - this is where users read what there is
        self,
        transport: Any = None,
        *,
        idempotency: Configuration,
        ttl: TTL | None = None,
        derive: Derive | None = None,
        on_duplicate: OnDuplicate = "wait",
        wait: Duration | None = None,
        record: Callable[[Result], bool] | None = None,
        timeout: Duration = PATIENCE,
        prices: Mapping[str, Price] | None = None,
        scope: Callable[[Request], str] | None = None,
    ) -> None:
        if transport is not None and not callable(getattr(transport, self._verb, None)):
            message = f"transport must have {self._verb}(), which {type(transport).__name__} lacks"
            raise TypeError(message)
        settings = Settings(
            ttl=ttl,
            derive=derive,
            on_duplicate=on_duplicate,
            wait=wait,
            record=record,
            timeout=timeout,
            prices={} if prices is None else {**prices},
            scope=scope,
        )
        self._gate = Gate(idempotency, self._frame.caller, settings)
        self._connections = Connections(transport, self._frame)
        self._fetches: set[Fetch] = set()

    async def _answer(self, request: Any) -> Any:
        """Return the response to a request that is guarded, and whose body is there."""
        try:
            errand = await self._gate.errand(Request.of(request))
        except MalformedKeyError as error:
            return refusal(dialect_of(request), malformed(str(error)))
        except StoreUnavailableError as error:
            return refusal(dialect_of(request), of_error(error))

        def fetch(execution: Execution) -> Fetch:
            return self._fetch(execution, request)

        return await Visit(self._gate, errand, request, fetch).answer()

    def _fetch(self, execution: Execution, request: Any) -> Fetch:
        patience = {**request.extensions.get("timeout", {}), "read": self._gate.settings.patience}
        upstream = dialect_of(request).upstream(request, patience)
        # Made before anybody's patience runs; what fails here fails the fetch, which then settles.
        with suppress(Exception):
            self._transport(request)
        fetch = self._kind(self._gate, execution, self._connections, upstream)
        self._fetches.add(fetch)
        fetch.when_over(lambda: self._fetches.discard(fetch))
        return fetch

    def _under_way(self) -> list[Fetch]:
        # What the parent of a forked process was fetching is none of ours.
        return [fetch for fetch in tuple(self._fetches) if fetch.feed in under_way]

    def _transport(self, request: Any) -> Any:
        return self._connections.of(dialect_of(request).library)


class IdempotentTransport(_Transport, _Blocking):
    """Send each guarded request once, for the clients of httpx2 and httpx that block.

    ::

        client = httpx2.Client(transport=IdempotentTransport(idempotency=idem, derive="request"))

    A request with an ``Idempotency-Key`` is guarded under it, and one inside a guarded call under
    the key of that call. Whoever loses patience, or leaves in the middle of an answer, leaves alone
    what is being sent: the same request attaches to it, or gets what was recorded.

    Args:
        transport: Sends what is to be sent; None makes one of the library whose request comes.
        idempotency: Where requests are guarded.
        ttl: Seconds an answer is replayed, or a callable on the call, such as `idemkit.llm.ttl`;
            None follows `idempotency`.
        derive: ``"request"`` makes the key of a request that has none from all that it says; else
            such a request is guarded inside a guarded call only.
        on_duplicate: Whether a duplicate waits for the running request or is refused at once.
        wait: Seconds for which a duplicate waits for an answer to begin; None sets no limit but
            the request's own.
        record: Called with an `idemkit.llm.Result`; tells which whole answers are kept, such as
            `idemkit.llm.complete`. None keeps all.
        timeout: Seconds of silence after which an answer is given up. The request's own read
            timeout is for its caller alone, who may ask again.
        prices: Of models, by name, so that telemetry tells what replays save.
        scope: Called with an `idemkit.llm.Request`; returns whose request it is, in place of its
            credentials: for tokens that are renewed, and users whom a gateway tells by a header of
            its own. The same key of two never meets.

    Raises:
        TypeError: Something is of the wrong type.
        ValueError: A setting is out of range.
    """

    _frame = SYNC
    _verb = "handle_request"
    _kind = ThreadFetch

    def handle_request(self, request: Any) -> Any:
        """Return the response to a request, from a record if there is one."""
        if not self._gate.concerns(request):
            return self._transport(request).handle_request(request)
        request.read()
        return drive(self._answer(request))

    def close(self) -> None:
        """Wait, for a while, for what is still being answered; then close the connections."""
        drive(part_with(self._under_way(), SYNC))
        for transport in self._connections.all():
            transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncIdempotentTransport(_Transport, _Awaiting):
    """Send each guarded request once, for the clients of httpx2 and httpx that are awaited.

    See `IdempotentTransport`, whose arguments it takes. One object serves several event loops,
    unless it is given a transport that does not.
    """

    _frame = ASYNC
    _verb = "handle_async_request"
    _kind = AsyncFetch

    async def handle_async_request(self, request: Any) -> Any:
        """Return the response to a request, from a record if there is one."""
        if not self._gate.concerns(request):
            return await self._transport(request).handle_async_request(request)
        await request.aread()
        return await self._answer(request)

    async def aclose(self) -> None:
        """Wait, for a while, for what is still being answered; then close the connections."""
        try:
            await part_with(self._under_way(), ASYNC)
        finally:  # also for whom closing takes too long
            await ASYNC.finish(self._hang_up())

    async def _hang_up(self) -> None:
        for transport in self._connections.all():
            with suppress(RuntimeError):  # of a loop that is closed, and its connections with it
                await transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
