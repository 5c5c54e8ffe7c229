"""What both transports know: which requests are guarded, by what key, and what is kept."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ...core.call import Call
from ...core.execution import current_execution
from ...core.keys import canonical, digest, prefix
from ...core.steps import step_of
from ...llm import Request, identity, profile, whose
from ..door import check_idempotency
from ..fingerprint import fingerprint
from ..follower import Case
from ..policy import HTTPPolicy
from ..syntax import parse_key
from .occurrences import OCCURRENCES
from .settings import succeeded

if TYPE_CHECKING:
    from ...core.engine import Engine
    from ...core.execution import Execution
    from ...llm import Result
    from ...operation import Configuration
    from ...stores.base import Caller
    from ..views import Response
    from .occurrences import Ticket
    from .settings import Settings

__all__ = ["MOST", "Errand", "Gate"]

MOST: Final = 64 * 1024 * 1024
"""Bytes of a request up to which it can be guarded."""

_HEADER: Final = "idempotency-key"
_NEVER: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""Methods that change nothing, and so may as well be repeated."""

_BY_ITSELF: Final = frozenset({"POST", "PATCH"})
"""Methods whose requests are guarded without a key of their own."""

logger: Final = logging.getLogger("idemkit")


class Errand(NamedTuple):
    """A request that is guarded.

    Args:
        case: What is asked for, and how it is guarded.
        ticket: Which of its kind it is in the guarded call around it, if that gave it its key.
    """

    case: Case
    ticket: Ticket | None


class Gate:
    """How requests are guarded on their way out.

    Args:
        idempotency: Where.
        caller: The colour of those who send them.
        settings: How.

    Raises:
        TypeError: What is no `Idempotency`, or cannot guard requests.
    """

    def __init__(self, idempotency: Configuration, caller: Caller, settings: Settings) -> None:
        check_idempotency(idempotency, "a guarded transport")
        self.settings: Settings = settings
        self._idempotency = idempotency
        self._caller: Caller = caller
        self._policy = idempotency.refined(settings.of_engine)
        self.http: HTTPPolicy = HTTPPolicy(keep=_kept, max_response=self._policy.max_bytes)
        """Which answers are kept, by their status and size."""
        self._head = prefix(idempotency.namespace, "idemkit.http.client", 1)

    @property
    def engine(self) -> Engine:
        """The engine for callers of the transport's colour."""
        return self._idempotency.engine(self._caller)

    @property
    def blocks(self) -> bool:
        """Whether those who send requests are threads."""
        return self._caller == "sync"

    def concerns(self, request: Any) -> bool:
        """Say whether a request of either library is guarded, if its body is not too long."""
        if request.method in _NEVER:
            return False
        if _HEADER not in request.headers:
            by_itself = self.settings.derive is not None or _around() is not None
            if not by_itself or request.method not in _BY_ITSELF:
                return False
        length = request.headers.get("content-length", "")
        return not (length.isdecimal() and int(length) > MOST)

    def wants(self, result: Result) -> bool:
        """Say whether the user wants a whole answer kept; it is, if the predicate fails."""
        record = self.settings.record
        if record is None:
            return True
        try:
            return bool(record(result))
        except Exception:
            logger.exception("record failed, and so the answer is kept")
            return True

    async def errand(self, request: Request) -> Errand:
        """Return what a request asks for, under its own key, or that of the call around it.

        Raises:
            MalformedKeyError: Its own key is malformed.
            ClaimLostError: Another caller has taken over the call around it.
            StoreUnavailableError: The store does not answer.
        """
        payload = _payload(request)
        place = canonical((request.method, *self._scope(request)))
        named, ticket = await self._named(request, place, payload)
        operation = profile(request).operation
        call = Call(
            operation,
            f"{operation}@1:",
            digest(self._head, place, canonical(named)).hex(),
            payload,
            kwargs={"request": request},
        )
        return Errand(Case(call, self._policy), ticket)

    def _scope(self, request: Request) -> tuple[object, ...]:
        """Return where a request goes, and whose it is."""
        scope = self.settings.scope
        if scope is None:
            return (whose(request),)
        who: object = scope(request)
        if not isinstance(who, str):
            message = f"scope must return text, not {type(who).__name__}"
            raise TypeError(message)
        return whose(request, credential=False), who

    async def _named(
        self, request: Request, place: bytes, payload: bytes
    ) -> tuple[tuple[object, ...], Ticket | None]:
        keys = [value for name, value in request.headers if name == _HEADER]
        if keys:
            return ("key", parse_key(keys, None)), None
        around = _around()
        if around is None:
            return ("request", payload), None
        # A call that has been forgotten, or has expired, begins a new series and asks anew.
        series = await around.series(self._caller)
        ticket = OCCURRENCES.take(around, step_of(around), digest(place, payload))
        return ("within", around.call.key, series, payload, *ticket.place), ticket


def _kept(response: Response) -> bool:
    return succeeded(response.status)


def _around() -> Execution | None:
    """Return the guarded call that the request is a part of."""
    execution = current_execution()
    return None if execution is None or execution.replayed else execution


def _payload(request: Request) -> bytes:
    headers, name = dict(request.headers), profile(request).name
    said = None if name == "other" else identity(request)
    if said is not None:
        return digest(canonical((name, said)))
    # What is asked for in other words, and what in another form, nobody knows to be the same.
    form = headers.get("accept", "")
    kind = headers.get("content-type", "")
    return digest(canonical(form), fingerprint(request.method, "", "", kind, request.body))
