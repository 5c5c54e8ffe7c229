"""Which requests are guarded and how, which answers are kept, and whose key it is."""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from ..core.keys import canonical, digest
from ..core.policy import OnDuplicate, chosen, seconds
from ..options import OnDisconnect
from .views import Headers, Request, Response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..core.policy import Duration

__all__ = [
    "Derive",
    "HTTPPolicy",
    "Keep",
    "Scope",
    "check_hook",
    "credential_scope",
    "default_keep",
    "default_scope",
    "stored_headers",
]

Derive: TypeAlias = Literal["request"]
Scope: TypeAlias = "Callable[[Request], str]"
Keep: TypeAlias = "Callable[[Response], bool]"

_FIELDS: Final = ("authorization", "x-api-key", "api-key")
_COOKIES: Final = ("session", "sessionid")

MEBIBYTE: Final = 1024 * 1024

TRANSIENT: Final = frozenset({401, 403, 408, 409, 421, 425, 429})
"""Refusals that say something about the moment or the caller, and not about the request."""

_HOP_BY_HOP: Final = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_OF_THE_MOMENT: Final = frozenset(
    {"date", "idempotency-replayed", "idempotency-unguarded", "ratelimit", "server"}
)
_NOT_AGAIN: Final = _HOP_BY_HOP | _OF_THE_MOMENT
_NOR_COOKIES: Final = _NOT_AGAIN | {"set-cookie"}
_RATE_LIMITS: Final = ("ratelimit-", "x-ratelimit-", "x-rate-limit-")
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2
_URL: Final = re.compile(r"[!$-;=?-~]+")  # fits between the angle brackets of a `Link`


def default_scope(request: Request) -> str:
    """Tell callers apart by `Authorization`, `X-API-Key`, `Api-Key` and usual session cookies."""
    return _credentials(request, _FIELDS, _COOKIES)


def credential_scope(
    *, headers: Collection[str] = _FIELDS, cookies: Collection[str] = _COOKIES
) -> Scope:
    """Return a scope that tells callers apart by the credentials that they send.

    It is a digest of those that a request has, by name, and empty where it has none. A token that
    is renewed between two attempts makes them two callers: an application that knows its users
    passes a `scope` that returns their id.

    Raises:
        TypeError: What should be a sequence of names is something else.
        ValueError: A name is none in HTTP.
    """
    fields = tuple(name.lower() for name in _tokens(headers, "headers"))
    return partial(_credentials, fields=fields, cookies=tuple(_tokens(cookies, "cookies")))


def _credentials(request: Request, fields: tuple[str, ...], cookies: tuple[str, ...]) -> str:
    headers = request.headers
    found = [(name, headers.all(name)) for name in fields if name in headers]
    crumbs = sorted(_cookies(headers, cookies)) if "cookie" in headers else []
    if not found and not crumbs:
        return ""
    return digest(b"credentials", canonical((found, crumbs))).hex()


def _cookies(headers: Headers, names: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    # A client of HTTP/2 may send each cookie as a field of its own.
    for line in headers.all("cookie"):
        for crumb in line.split(";"):
            name, _, value = crumb.strip().partition("=")
            if name in names:
                yield name, value


def default_keep(response: Response) -> bool:
    """Keep what would come out again: success, redirection, and refusals of the request itself."""
    status = response.status
    return 200 <= status < 500 and status not in TRANSIENT  # noqa: PLR2004 - known to every reader


def stored_headers(headers: Headers, *, cookies: bool = False) -> Headers:
    """Return those header fields of an answer that may be sent again with a replay.

    Args:
        headers: Those of the answer.
        cookies: Whether `Set-Cookie` may.
    """
    dropped = _NOT_AGAIN if cookies else _NOR_COOKIES
    if "connection" in headers:
        dropped |= {name.strip().lower() for name in headers["connection"].split(",")}
    return Headers(
        [
            (name, value)
            for name, value in headers.pairs
            if (low := name.lower()) not in dropped and not low.startswith(_RATE_LIMITS)
        ]
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class HTTPPolicy:
    """How the requests of a route are guarded.

    Args:
        methods: The methods that are guarded.
        header: The field that carries the key.
        required: Whether a request without a key is refused; else it passes unguarded.
        derive: ``"request"`` makes the key of a request without one from all that it says.
        scope: Says whose key it is; the same key of two callers never meets.
        ttl: How long an answer is replayed, from completion; None follows the `Idempotency`.
        on_duplicate: Whether a duplicate waits for the running request or is refused at once.
        wait: How long a duplicate waits at most; None is 60 s on ASGI and 10 s on WSGI, where it
            holds a thread.
        keep: Says which answers are kept, from their status and headers; after any other, the next
            request with the key runs.
        max_request: Bytes of a body up to which a request can be guarded.
        max_response: Bytes of a body up to which an answer is kept.
        on_disconnect: What becomes of a running request once nobody listens any more:
            ``"continue"`` or ``"cancel"``.
        docs_url: The page that explains the errors, each at a fragment of its own; None is the
            draft of the header itself.
        key_pattern: What a key must match as a whole, besides being well-formed.
        replay_cookies: Whether a replay sends `Set-Cookie` again.
        pattern: `key_pattern`, compiled.
        ttl_seconds: `ttl` in seconds.
        wait_seconds: `wait` in seconds.

    Raises:
        TypeError: A setting is of the wrong type.
        ValueError: A setting is out of range.
    """

    methods: Collection[str] = ("POST", "PATCH")
    header: str = "Idempotency-Key"
    required: bool = False
    derive: Derive | None = None
    scope: Scope = default_scope
    ttl: Duration | None = None
    on_duplicate: OnDuplicate = "wait"
    wait: Duration | None = None
    keep: Keep = default_keep
    max_request: int = 10 * MEBIBYTE
    max_response: int = 16 * MEBIBYTE
    on_disconnect: OnDisconnect = "continue"
    docs_url: str | None = None
    key_pattern: str | re.Pattern[str] | None = None
    replay_cookies: bool = False
    pattern: re.Pattern[str] | None = field(init=False, repr=False)
    ttl_seconds: float | None = field(init=False, repr=False)
    wait_seconds: float | None = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Bring settings to the form in which they are used, and refuse what makes no sense."""
        methods = [method.upper() for method in _tokens(self.methods, "methods")]
        if not methods:
            raise ValueError("methods must name one; a route of None is left alone")
        self._set("methods", tuple(dict.fromkeys(methods)))
        self._set("pattern", _pattern(self.key_pattern))
        for name in ("ttl", "wait"):
            duration = getattr(self, name)
            limit = None if duration is None else seconds(duration, name)
            self._set(f"{name}_seconds", limit)
        self._check_words()
        for name in ("scope", "keep"):
            check_hook(getattr(self, name), name)
        for name in ("required", "replay_cookies"):
            _check_type(getattr(self, name), name, bool)
        for name in ("max_request", "max_response"):
            _check_size(getattr(self, name), name)

    def _check_words(self) -> None:
        _tokens((self.header,), "header")
        if self.derive is not None:
            chosen(self.derive, "derive", Derive)
        chosen(self.on_duplicate, "on_duplicate", OnDuplicate)
        chosen(self.on_disconnect, "on_disconnect", OnDisconnect)
        if self.docs_url is not None:
            _check_type(self.docs_url, "docs_url", str)
            if not _URL.fullmatch(self.docs_url):
                message = f"docs_url must be a URL without a fragment, not {self.docs_url!r}"
                raise ValueError(message)

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)


def _tokens(names: Collection[str], what: str) -> Collection[str]:
    """Return names, all of which are tokens of RFC 9110."""
    if isinstance(names, str) or not isinstance(names, Collection):
        message = f"{what} takes a collection of names, not {names!r}"
        raise TypeError(message)
    for name in names:
        _check_type(name, what, str)
        if not _TOKEN.fullmatch(name):
            message = f"{what}: {name!r} is no name in HTTP"
            raise ValueError(message)
    return names


def _pattern(source: str | re.Pattern[str] | None) -> re.Pattern[str] | None:
    if source is None:
        return None
    if isinstance(source, re.Pattern):
        _check_type(source.pattern, "key_pattern", str)
        return source
    _check_type(source, "key_pattern", str)
    try:
        return re.compile(source)
    except re.error as error:
        message = f"key_pattern is no regular expression: {error}"
        raise ValueError(message) from error


def _check_type(value: object, name: str, kind: type) -> None:
    if not isinstance(value, kind):
        message = f"{name} must be {kind.__name__}, not {value!r}"
        raise TypeError(message)


def check_hook(hook: object, name: str) -> None:
    """Refuse a hook that cannot be called, or that nobody would await.

    Raises:
        TypeError: It is one of these.
    """
    if not callable(hook):
        message = f"{name} must be callable, and {hook!r} is not"
        raise TypeError(message)
    if any(map(inspect.iscoroutinefunction, (hook, type(hook).__call__))):
        message = f"{name}={hook!r} is a coroutine function, and would not be awaited here"
        raise TypeError(message)


def _check_size(size: object, name: str) -> None:
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        message = f"{name} must be a positive number of bytes, not {size!r}"
        raise ValueError(message)
