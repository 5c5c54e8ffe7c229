"""Tests of `idemkit.http.routes`: which policy guards a request, and as what."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idemkit.http.policy import HTTPPolicy
from idemkit.http.routes import Routes

DEFAULT = HTTPPolicy()
OWN = HTTPPolicy(required=True)
OTHER = HTTPPolicy(methods=["PUT", "POST"])


def name_of(routes: dict[str, HTTPPolicy | None], method: str, path: str) -> str | None:
    """Return the name under which a request is guarded, if it is."""
    guard = Routes(DEFAULT, routes).find(method, path)
    return None if guard is None else guard[1]


@pytest.mark.parametrize("routes", [None, {}], ids=str)
@pytest.mark.parametrize(
    ("method", "guard"), [("POST", (DEFAULT, "POST")), ("PATCH", (DEFAULT, "PATCH")), ("GET", None)]
)
def test_no_routes(routes: None, method: str, guard: object) -> None:
    """Without routes, the methods of the policy are guarded, whatever the path."""
    assert guard == Routes(DEFAULT, routes).find(method, "/a/b")


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("POST /chat", "/chat"),
        ("post  /chat", "/chat"),
        ("/chat", "/chat"),
        ("/", "/"),
        ("/chat/", "/chat/"),
        ("/items/{id}", "/items/1"),
        ("/items/{id}/lines/{line_no}", "/items/1/lines/ü 2"),
        ("/static/*", "/static/"),
        ("/static/*", "/static/a/b\nc"),
        ("/*", "/"),
        ("/a.b", "/a.b"),
        ("/a b", "/a b"),
    ],
)
def test_pattern_fits(pattern: str, path: str) -> None:
    """A route that is listed has its own policy."""
    guard = Routes(DEFAULT, {pattern: OWN}).find("POST", path)
    assert guard is not None
    assert guard[0] is OWN


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("POST /chat", "/chat/"),
        ("/chat", "/chats"),
        ("/chat", "/v1/chat"),
        ("/items/{id}", "/items/"),
        ("/items/{id}", "/items/1/2"),
        ("/items/{id}", "/items/1\n/"),
        ("/static/*", "/static"),
        ("/a.b", "/a-b"),
        ("PATCH /chat", "/chat"),
    ],
)
def test_pattern_does_not_fit(pattern: str, path: str) -> None:
    """A route that is not listed follows the policy of all."""
    assert (DEFAULT, "POST") == Routes(DEFAULT, {pattern: OWN}).find("POST", path)


@pytest.mark.parametrize(
    ("pattern", "method", "path", "name"),
    [
        ("POST /items/{id}", "POST", "/items/1", "POST /items/{id}"),
        ("/items/{id}", "PATCH", "/items/1", "PATCH /items/{id}"),
        ("/static/*", "POST", "/static/a/b", "POST /static/*"),
        ("POST /chat", "POST", "/chat", "POST /chat"),
        ("POST /chat", "POST", "/other", "POST"),
    ],
)
def test_name(pattern: str, method: str, path: str, name: str) -> None:
    """An operation is named after its route, not after its path."""
    assert name == name_of({pattern: OWN}, method, path)


def test_method_in_a_pattern_is_guarded() -> None:
    """A pattern that names a method guards it, although its policy does not."""
    assert "DELETE /items/{id}" == name_of({"DELETE /items/{id}": OWN}, "DELETE", "/items/1")


def test_method_in_a_pattern_is_guarded_there_only() -> None:
    """A method that one route names is left alone elsewhere."""
    assert name_of({"DELETE /items/{id}": OWN}, "DELETE", "/chat") is None


@pytest.mark.parametrize(
    ("method", "name"), [("PUT", "PUT /chat"), ("POST", "POST /chat"), ("PATCH", None)]
)
def test_pattern_without_a_method(method: str, name: str | None) -> None:
    """A pattern without a method guards those of its own policy, and no others."""
    assert name == name_of({"/chat": OTHER}, method, "/chat")


@pytest.mark.parametrize("pattern", ["/health", "POST /health", "/{any}", "/*"])
def test_route_left_alone(pattern: str) -> None:
    """A route without a policy is not guarded."""
    assert name_of({pattern: None}, "POST", "/health") is None


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/items/new", "POST /items/new"),
        ("/items/1", "POST /items/{id}"),
        ("/items/1/2", "POST /items/*"),
        ("/items/1/lines", "POST /items/{id}/lines"),
        ("/items/new/lines", "POST /items/new/*"),
        ("/other/new", "POST /{kind}/new"),
        ("/other", "POST /*"),
    ],
)
def test_most_specific_pattern_decides(turned: bool, path: str, name: str) -> None:
    """The order in which routes are listed does not matter."""
    patterns = [
        "/*",
        "/{kind}/new",
        "/items/*",
        "/items/{id}",
        "/items/new",
        "/items/{id}/lines",
        "/items/new/*",
    ]
    routes: dict[str, HTTPPolicy | None] = dict.fromkeys(patterns, OWN)
    assert name == name_of(dict(reversed(routes.items())) if turned else routes, "POST", path)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("path", ["/chat", "/{any}", "/*"])
def test_pattern_that_names_the_method_decides(turned: bool, path: str) -> None:
    """Of two patterns for one path, the one that names the method comes first."""
    routes: dict[str, HTTPPolicy | None] = {path: None, f"POST {path}": OWN}
    listed = dict(reversed(routes.items())) if turned else routes
    assert f"POST {path}" == name_of(listed, "POST", "/chat")


@given(st.text(), st.text())
def test_names_are_few(method: str, path: str) -> None:
    """No request makes up a name for itself."""
    routes: dict[str, HTTPPolicy | None] = {"/chat": OTHER, "/items/{id}": OWN, "/static/*": None}
    names = {"PUT /chat", "POST /chat", "POST /items/{id}", "PATCH /items/{id}", "POST", "PATCH"}
    assert name_of(routes, method, f"/{path}") in {None, *names}


@pytest.mark.parametrize(
    "pattern", ["", "chat", "POST", "POST chat", "POST/chat", " /chat", "GET POST /chat", "/a\nb"]
)
def test_no_pattern(pattern: str) -> None:
    """What is no path, alone or after a method, is refused."""
    with pytest.raises(ValueError, match="written 'POST /path'"):
        Routes(DEFAULT, {pattern: OWN})


@pytest.mark.parametrize(
    "segment", ["{id", "id}", "{}", "{id:int}", "<id>", "{id}.json", "a*", "**", "a?b=c", "a#b"]
)
def test_odd_segment(segment: str) -> None:
    """A segment is text, or a placeholder as a whole; other spellings are refused, not guessed."""
    with pytest.raises(ValueError, match="neither text nor"):
        Routes(DEFAULT, {f"/items/{segment}": OWN})


def test_star_inside() -> None:
    """Nothing can come after all the rest."""
    with pytest.raises(ValueError, match="at the end"):
        Routes(DEFAULT, {"/static/*/a": OWN})


@pytest.mark.parametrize(
    ("first", "second"), [("/items/{id}", "/items/{name}"), ("POST /a", "post /a")]
)
def test_same_route_twice(first: str, second: str) -> None:
    """Two policies for one route are one too many."""
    with pytest.raises(ValueError, match="are the same route"):
        Routes(DEFAULT, {first: OWN, second: OTHER})


@pytest.mark.parametrize("policy", ["no", False, HTTPPolicy])
def test_route_without_a_policy(policy: Any) -> None:
    """A route has a policy, or None to be left alone."""
    with pytest.raises(TypeError, match="/a must be an HTTPPolicy"):
        Routes(DEFAULT, {"/a": policy})


def test_policy_of_all_is_none() -> None:
    """The policy of all others is one."""
    policy: Any = None
    with pytest.raises(TypeError, match="policy must be an HTTPPolicy"):
        Routes(policy)
