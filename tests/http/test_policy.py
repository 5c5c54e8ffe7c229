"""Tests of `idemkit.http.policy`: settings, whose key it is, and what is kept of an answer."""

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from idemkit import http
from idemkit.http.policy import (
    HTTPPolicy,
    credential_scope,
    default_keep,
    default_scope,
    stored_headers,
)
from idemkit.http.views import Headers, Request, Response

WRONG_TYPES: list[dict[str, Any]] = [
    {"methods": "POST"},
    {"methods": 1},
    {"methods": iter(["POST"])},
    {"methods": [1]},
    {"header": None},
    {"required": 1},
    {"replay_cookies": None},
    {"scope": "user"},
    {"keep": None},
    {"ttl": "60"},
    {"wait": True},
    {"docs_url": 1},
    {"key_pattern": 1},
    {"key_pattern": re.compile(b"a")},
]
WRONG_VALUES: list[dict[str, Any]] = [
    {"methods": []},
    {"methods": ["POST /chat"]},
    {"header": "Idempotency Key"},
    {"header": ""},
    {"derive": "body"},
    {"ttl": -1},
    {"wait": float("inf")},
    {"on_duplicate": "ignore"},
    {"on_disconnect": "stop"},
    {"max_request": 0},
    {"max_request": True},
    {"max_response": 1.5},
    {"docs_url": ""},
    {"docs_url": "https://example.org/errors#idempotency"},
    {"docs_url": "https://example.org/a b"},
    {"docs_url": "https://example.org/<a>"},
    {"key_pattern": "("},
]


def request(*headers: tuple[str, str]) -> Request:
    """Return a request with these header fields."""
    return Request(method="POST", path="/", headers=Headers(headers))


def kind_of(settings: dict[str, Any]) -> str:
    """Return the name of a setting and the type of its value."""
    return " ".join(f"{name}: {type(value).__name__}" for name, value in settings.items())


async def nobody(_: object) -> str:
    """Be awaited, where nobody awaits."""
    return ""


@pytest.mark.parametrize("settings", WRONG_TYPES, ids=kind_of)
def test_wrong_type(settings: dict[str, Any]) -> None:
    """A setting of the wrong type is refused by name."""
    with pytest.raises(TypeError, match=next(iter(settings))):
        HTTPPolicy(**settings)


@pytest.mark.parametrize("settings", WRONG_VALUES, ids=str)
def test_value_out_of_range(settings: dict[str, Any]) -> None:
    """A setting that makes no sense is refused by name."""
    with pytest.raises(ValueError, match=next(iter(settings))):
        HTTPPolicy(**settings)


@pytest.mark.parametrize("name", ["scope", "keep"])
async def test_coroutine_function(name: str) -> None:
    """A hook that nobody would await is refused."""
    settings: dict[str, Any] = {name: nobody}
    with pytest.raises(TypeError, match="would not be awaited"):
        HTTPPolicy(**settings)
    assert "" == await nobody(None)


def test_methods_are_in_capitals() -> None:
    """A method is guarded however it is written, and listed once."""
    assert ("POST", "PUT") == HTTPPolicy(methods=["post", "put", "POST"]).methods


def test_durations_become_seconds() -> None:
    """A timedelta is as good as a number."""
    policy = HTTPPolicy(ttl=timedelta(hours=1), wait=5)
    assert (3600.0, 5.0) == (policy.ttl_seconds, policy.wait_seconds)


def test_durations_may_be_left_open() -> None:
    """A policy may leave durations to others."""
    policy = HTTPPolicy()
    assert (None, None) == (policy.ttl_seconds, policy.wait_seconds)


@pytest.mark.parametrize("source", ["[a-z]+", re.compile("[a-z]+")], ids=str)
def test_pattern_is_compiled(source: str | re.Pattern[str]) -> None:
    """A pattern may be given as text."""
    assert re.compile("[a-z]+") == HTTPPolicy(key_pattern=source).pattern


def test_everything_can_be_set() -> None:
    """What makes sense is accepted."""
    policy = HTTPPolicy(
        methods={"PUT"},
        header="X-Request-Key",
        required=True,
        derive="request",
        scope=lambda request: request.path,
        keep=lambda response: response.status == 200,
        on_duplicate="reject",
        on_disconnect="cancel",
        docs_url="/errors",
        replay_cookies=True,
    )
    assert ("/", True) == (policy.scope(request()), policy.keep(Response(200, Headers())))


def test_policy_can_be_varied() -> None:
    """A policy made from another follows its new settings."""
    policy = replace(HTTPPolicy(ttl=1, key_pattern="a"), ttl=2, key_pattern=None)
    assert (2.0, None) == (policy.ttl_seconds, policy.pattern)


def test_public_names() -> None:
    """What a policy is made of can be imported beside it."""
    assert (HTTPPolicy, default_scope) == (http.HTTPPolicy, http.default_scope)


# ------------------------------------------------------------------------------- scopes


def test_nobody_in_particular() -> None:
    """A request without credentials has an empty scope."""
    assert "" == default_scope(request(("Accept", "*/*"), ("Cookie", "theme=dark")))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("Authorization", "Bearer a"), ("Authorization", "Bearer b")),
        (("Authorization", "a"), ("X-API-Key", "a")),
        (("X-API-Key", "a"), ("Api-Key", "a")),
        (("Cookie", "session=a"), ("Cookie", "session=b")),
        (("Cookie", "session=a"), ("Cookie", "sessionid=a")),
        (("Cookie", "session=a"), ("Accept", "*/*")),
    ],
)
def test_callers_are_told_apart(one: tuple[str, str], other: tuple[str, str]) -> None:
    """Whoever sends another credential is another caller."""
    assert default_scope(request(one)) != default_scope(request(other))


def test_every_credential_counts() -> None:
    """One key of an application serves many users: both say who calls."""
    key = ("X-API-Key", "a")
    assert default_scope(request(key)) != default_scope(request(key, ("Cookie", "session=b")))


@pytest.mark.parametrize(
    "headers",
    [
        [("cookie", "session=a; sessionid=b")],
        [("Cookie", "theme=dark;sessionid=b;session=a"), ("Accept", "*/*")],
        [("cookie", "session=a"), ("cookie", "sessionid=b")],
    ],
)
def test_same_caller(headers: list[tuple[str, str]]) -> None:
    """The order of cookies, and what else is sent, does not matter."""
    expected = default_scope(request(("Cookie", "session=a; sessionid=b")))
    assert expected == default_scope(request(*headers))


def test_scope_says_nothing_of_the_credential() -> None:
    """A scope is a digest."""
    scope = default_scope(request(("Authorization", "Bearer secret")))
    assert re.fullmatch("[0-9a-f]{32}", scope)


def test_scope_by_other_names() -> None:
    """An application may have names of its own for credentials."""
    scope = credential_scope(headers=["X-Tenant"], cookies=["sid"])
    scopes = {
        scope(request(field))
        for field in [("Authorization", "a"), ("x-tenant", "a"), ("Cookie", "sid=a; session=b")]
    }
    assert ("" in scopes, 3) == (True, len(scopes))


@pytest.mark.parametrize("names", ["x-tenant", [1]], ids=str)
def test_scope_by_no_names(names: Any) -> None:
    """A scope is made of a list of names."""
    with pytest.raises(TypeError, match="headers"):
        credential_scope(headers=names)


def test_scope_by_a_name_that_is_none() -> None:
    """A name with a space in it could never be found."""
    with pytest.raises(ValueError, match="cookies"):
        credential_scope(cookies=["session id"])


# -------------------------------------------------------------------------- what is kept


@pytest.mark.parametrize(
    ("kept", "statuses"),
    [
        (True, [200, 201, 204, 206, 299, 301, 303, 304, 400, 402, 404, 410, 422, 451]),
        (False, [100, 103, 401, 403, 408, 409, 421, 425, 429, 500, 503, 599]),
    ],
)
def test_default_keep(kept: bool, statuses: list[int]) -> None:
    """An answer is kept if the same request would get it again."""
    assert {kept} == {default_keep(Response(status, Headers())) for status in statuses}


@pytest.mark.parametrize(
    "name",
    [
        "Content-Type",
        "Content-Length",
        "Content-Encoding",
        "ETag",
        "Location",
        "X-Request-Id",
        "X-Rate",
        "Rate",
    ],
)
def test_replayed_header(name: str) -> None:
    """What belongs to the answer is sent again, as it was written."""
    assert ((name, "1"),) == stored_headers(Headers([(name, "1")])).pairs


@pytest.mark.parametrize(
    "name",
    [
        "Connection",
        "Keep-Alive",
        "Transfer-Encoding",
        "Upgrade",
        "Date",
        "Server",
        "Set-Cookie",
        "RateLimit",
        "RateLimit-Policy",
        "X-RateLimit-Remaining",
        "X-Rate-Limit-Reset",
        "Idempotency-Replayed",
        "idempotency-unguarded",
    ],
)
def test_header_of_the_moment(name: str) -> None:
    """What belongs to one connection, one moment or one client is not sent again."""
    assert () == stored_headers(Headers([(name, "1")])).pairs


def test_header_named_by_the_connection() -> None:
    """`Connection` names further fields that end with it."""
    headers = Headers([("Connection", "close, X-Trace"), ("x-trace", "1"), ("X-Tag", "2")])
    assert (("X-Tag", "2"),) == stored_headers(headers).pairs


def test_repeated_header_stays_repeated() -> None:
    """Several values of one field stay several, in their order."""
    pairs = (("Link", "<a>"), ("Vary", "a"), ("Link", "<b>"))
    assert pairs == stored_headers(Headers(pairs)).pairs


def test_cookies_on_request() -> None:
    """Cookies are sent again where a policy says so."""
    pairs = (("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"))
    assert pairs == stored_headers(Headers(pairs), cookies=True).pairs
