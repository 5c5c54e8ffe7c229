"""What both doors know of an application: its policies, its store, and how it says no."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ..core.call import Call
from ..core.keys import canonical, digest, prefix
from ..operation import Configuration
from .events import HTTPEvent
from .fingerprint import fingerprint
from .follower import Case
from .policy import HTTPPolicy, check_hook
from .problems import MISSING, Problem, malformed, render
from .routes import Routes
from .syntax import MalformedKeyError, parse_key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ..core.engine import Engine
    from ..core.policy import Policy
    from ..stores.base import Caller
    from .problems import Rendered
    from .views import Request

    ErrorRenderer = Callable[[Problem, Request], Rendered]
    OnEvent = Callable[[HTTPEvent], object]

__all__ = [
    "REPLAYED",
    "UNGUARDED",
    "Door",
    "RefusedError",
    "Rule",
    "check_idempotency",
]

REPLAYED: Final = ("Idempotency-Replayed", "true")
"""The field of an answer that comes from a record."""

UNGUARDED: Final = "Idempotency-Unguarded"
"""The field that says why a request with a key was not guarded."""

KEEP_ALIVE_SECONDS: Final = 15.0
"""Seconds of silence after which a client that reads events gets a sign of life."""

logger: Final = logging.getLogger("idemkit")


class RefusedError(Exception):
    """Carries a refusal out of the way that a request takes."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.title)
        self.problem: Problem = problem


class Rule(NamedTuple):
    """How one operation's requests are guarded.

    Args:
        http: As the user says it.
        policy: As the engine knows it.
        operation: The operation's name.
        label: How the text of its keys begins.
        field: The name of the field that carries the key, as ASGI has it.
        wait: Seconds for which a duplicate waits for an answer to begin.
    """

    http: HTTPPolicy
    policy: Policy
    operation: str
    label: str
    field: bytes
    wait: float

    def named(self, operation: str) -> Rule:
        """Return the same for an operation of another name."""
        return self._replace(operation=operation, label=f"{operation}@1:")


class Door:
    """A guarded application.

    Args:
        idempotency: Where it is guarded.
        policy: How, where no route says otherwise; None is the default.
        routes: Policies of routes; see `Routes`.
        error_renderer: Returns the answer for a problem; None writes a problem document.
        on_event: Called after each request that a policy applies to.
        caller: The application's colour.
        wait: Seconds for which duplicates wait where no policy says.

    Raises:
        TypeError: Something is of the wrong type, or a setting is not for routes.
        ValueError: A route is malformed.
    """

    def __init__(
        self,
        idempotency: Configuration,
        policy: HTTPPolicy | None,
        routes: Mapping[str, HTTPPolicy | None] | None,
        *,
        error_renderer: ErrorRenderer | None,
        on_event: OnEvent | None,
        caller: Caller,
        wait: float,
    ) -> None:
        check_idempotency(idempotency, "a guarded route")
        for hook, name in ((error_renderer, "error_renderer"), (on_event, "on_event")):
            if hook is not None:
                check_hook(hook, name)
        self.idempotency: Configuration = idempotency
        self._routes = Routes(policy or HTTPPolicy(), routes)
        self._rules: dict[tuple[int, str], Rule] = {}
        self._render = error_renderer
        self._on_event = on_event
        self._caller: Caller = caller
        self._wait = wait
        self._head = prefix(idempotency.namespace, "idemkit.http", 1)

    @property
    def engine(self) -> Engine:
        """The engine for callers of the application's colour."""
        return self.idempotency.engine(self._caller)

    def rule(self, method: str, path: str) -> Rule | None:
        """Return how requests of a method and path are guarded; None leaves them alone."""
        guard = self._routes.find(method, path)
        if guard is None:
            return None
        policy, operation = guard
        rule = self._rules.get((id(policy), operation))
        return rule or self._rules.setdefault(
            (id(policy), operation), self._made(policy, operation)
        )

    def key(self, rule: Rule, values: Sequence[str]) -> str | None:
        """Return a request's key, given every value of its field; None if it needs none.

        Raises:
            RefusedError: It is malformed, or is missing and must not.
        """
        if values:
            try:
                return parse_key(values, rule.http.pattern)
            except MalformedKeyError as error:
                raise RefusedError(malformed(str(error))) from error
        if rule.http.required and rule.http.derive is None:
            raise RefusedError(MISSING)
        return None

    def case(self, rule: Rule, request: Request, key: str | None, body: bytes) -> Case:
        """Return what a request asks for; without a key, what it says is its key."""
        kind = request.headers.get("content-type", "")
        payload = fingerprint(request.method, request.path, request.query, kind, body)
        whose: object = rule.http.scope(request)
        if not isinstance(whose, str):
            message = f"scope must return text, not {type(whose).__name__}"
            raise TypeError(message)
        named = ("key", key) if key is not None else ("request", payload)
        place = canonical((whose, request.method, request.path, *named))
        call = Call(
            rule.operation,
            rule.label,
            digest(self._head, place).hex(),
            payload,
            kwargs={"request": request},
        )
        return Case(call, rule.policy)

    def refusal(self, rule: Rule, problem: Problem, request: Request) -> Rendered:
        """Return the answer for a problem."""
        if self._render is not None:
            return self._render(problem, request)
        return render(problem, rule.http.docs_url)

    def tell(self, **event: Any) -> None:
        """Let the user know what became of a request; their mistakes are not the client's."""
        if self._on_event is not None:
            try:
                self._on_event(HTTPEvent(**event))
            except Exception:
                logger.exception("on_event failed")

    def _made(self, policy: HTTPPolicy, operation: str) -> Rule:
        wait = self._wait if policy.wait_seconds is None else policy.wait_seconds
        settings: dict[str, Any] = {
            "on_duplicate": policy.on_duplicate,
            "wait": wait,
            "max_bytes": policy.max_response,
        }
        if policy.ttl_seconds is not None:
            settings["ttl"] = policy.ttl_seconds
        field = policy.header.lower().encode()
        known = self.idempotency.refined(settings)
        return Rule(policy, known, "", "", field, wait).named(operation)


def check_idempotency(idempotency: Any, whom: str) -> None:
    """Refuse what cannot guard requests.

    Args:
        idempotency: What should be an `Idempotency`.
        whom: What is to be guarded.

    Raises:
        TypeError: It is none, its store keeps no sequences, or a hook of it would have to answer.
    """
    if not isinstance(idempotency, Configuration):
        message = f"idempotency must be an Idempotency, not {type(idempotency).__name__}"
        raise TypeError(message)
    idempotency.check_sequences(whom)
    if callable(idempotency.policy.on_abandoned):
        raise TypeError(
            "on_abandoned is a hook here, and no value it returns could stand for an answer: "
            "pass on_abandoned='retry' or 'raise'"
        )
