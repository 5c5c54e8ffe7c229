"""What both transports know: which requests are guarded, by what key, and what is kept."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ...core.call import Call
from ...core.execution import current_execution
from ...core.keys import canonical, digest, prefix
from ...core.policy import OnDuplicate, chosen, seconds
from ...llm import Request, identity, profile, whose
from ...operation import Configuration
from ..fingerprint import fingerprint
from ..follower import Case
from ..policy import HTTPPolicy, check_hook
from ..syntax import parse_key
from .occurrences import Occurrences

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ...core.engine import Engine
    from ...core.policy import TTL, Duration
    from ...llm import Price, Result
    from ...stores.base import Caller
    from ..policy import Derive
    from ..views import Response
    from .occurrences import Ticket

__all__ = ["MOST", "Errand", "Gate", "succeeded"]

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
        ttl: Seconds an answer is replayed, or a callable on the call; None follows `idempotency`.
        derive: ``"request"`` makes the key of a request without one from all that it says.
        on_duplicate: Whether a duplicate waits for the running request or is refused at once.
        wait: Seconds for which a duplicate waits; None sets no limit but the request's own.
        record: Tells which whole answers are kept; None keeps all.
        patience: Seconds of silence after which an answer is given up.
        prices: Of models, by name.

    Raises:
        TypeError: Something is of the wrong type.
        ValueError: A setting is out of range.
    """

    def __init__(
        self,
        idempotency: Configuration,
        caller: Caller,
        *,
        ttl: TTL | None,
        derive: Derive | None,
        on_duplicate: OnDuplicate,
        wait: Duration | None,
        record: Callable[[Result], bool] | None,
        patience: Duration,
        prices: Mapping[str, Price] | None,
    ) -> None:
        _check(idempotency)
        chosen(on_duplicate, "on_duplicate", OnDuplicate)
        if record is not None:
            check_hook(record, "record")
        self.policy: HTTPPolicy = HTTPPolicy(derive=derive, keep=_kept)
        """Which answers are kept, by their status."""
        self.patience: float = seconds(patience, "timeout")
        self.wait: float = float("inf") if wait is None else seconds(wait, "wait")
        self.prices: Mapping[str, Price] = {} if prices is None else {**prices}
        self._idempotency = idempotency
        self._caller: Caller = caller
        self._derives = derive is not None
        self._record = record
        settings: dict[str, Any] = {"on_duplicate": on_duplicate}
        self._policy = idempotency.refined(settings if ttl is None else {**settings, "ttl": ttl})
        self._occurrences = Occurrences()
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
            around = self._derives or current_execution() is not None
            if not around or request.method not in _BY_ITSELF:
                return False
        length = request.headers.get("content-length", "")
        return not (length.isdecimal() and int(length) > MOST)

    def wants(self, result: Result) -> bool:
        """Say whether the user wants a whole answer kept; it is, if the predicate fails."""
        if self._record is None:
            return True
        try:
            return bool(self._record(result))
        except Exception:
            logger.exception("record failed, and so the answer is kept")
            return True

    def errand(self, request: Request) -> Errand:
        """Return what a request asks for, under its own key, or that of the call around it.

        Raises:
            MalformedKeyError: Its own key is malformed.
        """
        payload = _payload(request)
        named, ticket = self._named(request, payload)
        place = canonical((whose(request), *named))
        operation = profile(request).operation
        call = Call(
            operation,
            f"{operation}@1:",
            digest(self._head, place).hex(),
            payload,
            kwargs={"request": request},
        )
        return Errand(Case(call, self._policy), ticket)

    def _named(self, request: Request, payload: bytes) -> tuple[tuple[object, ...], Ticket | None]:
        keys = [value for name, value in request.headers if name == _HEADER]
        if keys:
            return ("key", parse_key(keys, None)), None
        around = current_execution()
        if around is None:
            return ("request", payload), None
        ticket = self._occurrences.take(around, payload)
        return ("within", around.call.key, payload, ticket.number), ticket


def _payload(request: Request) -> bytes:
    said = identity(request)
    if said is not None:
        return digest(canonical((request.method, profile(request).name, said)))
    kind = dict(request.headers).get("content-type", "")
    return fingerprint(request.method, "", "", kind, request.body)


def succeeded(status: int) -> bool:
    """Say whether an answer is a success; nothing else is kept."""
    return 200 <= status < 300  # noqa: PLR2004 - known to every reader


def _kept(response: Response) -> bool:
    return succeeded(response.status)


def _check(idempotency: Any) -> None:
    if not isinstance(idempotency, Configuration):
        message = f"idempotency must be an Idempotency, not {type(idempotency).__name__}"
        raise TypeError(message)
    idempotency.check_sequences("a guarded transport")
    if callable(idempotency.policy.on_abandoned):
        raise TypeError(
            "on_abandoned is a hook here, and no value it returns could stand for an answer: "
            "pass on_abandoned='retry' or 'raise'"
        )
