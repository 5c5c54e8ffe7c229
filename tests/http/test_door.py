"""Tests of `idemkit.http.door`: what is checked when an application is guarded."""

from typing import Any

import pytest

from idemkit import Idempotency
from idemkit.http import HTTPPolicy, Request
from idemkit.http.door import Door
from idemkit.http.views import Headers
from idemkit.stores import MemoryStore
from tests.http.asgi_site import Client, Gated, Site


def door(policy: HTTPPolicy | None = None, **settings: Any) -> Door:
    """Return a door."""
    idempotency = Idempotency(MemoryStore(), **settings)
    return Door(
        idempotency, policy, None, error_renderer=None, on_event=None, caller="sync", wait=60.0
    )


def request(method: str = "POST", path: str = "/", *fields: tuple[str, str]) -> Request:
    """Return a request."""
    return Request(method=method, path=path, headers=Headers(fields))


def keys(*requests: Request, key: str | None = "k", **settings: Any) -> list[str]:
    """Return the keys of requests, all with one body."""
    where = door(HTTPPolicy(methods=["POST", "PUT"], derive="request"), **settings)
    found = []
    for one in requests:
        rule = where.rule(one.method, one.path)
        assert rule is not None
        found.append(where.case(rule, one, key, b"body").call.key)
    return found


@pytest.mark.parametrize("wrong", [None, MemoryStore(), "memory://", Idempotency])
def test_idempotency_is_one(wrong: Any) -> None:
    """Whoever passes a store or a class hears of it at once."""
    with pytest.raises(TypeError, match="must be an Idempotency"):
        Door(wrong, None, None, error_renderer=None, on_event=None, caller="sync", wait=1.0)


def test_hook_for_abandoned_requests_is_refused() -> None:
    """No value that it returns could stand for an answer."""
    with pytest.raises(TypeError, match="on_abandoned is a hook"):
        door(on_abandoned=lambda _: None)


async def unawaited(*_: object) -> None:
    """Be a hook that nobody would await."""


@pytest.mark.parametrize("hook", ["on_event", "error_renderer"])
@pytest.mark.parametrize("wrong", [5, unawaited])
def test_hook_that_would_never_be_heard_is_refused(hook: str, wrong: Any) -> None:
    """Whoever passes what cannot be called, or would not be awaited, hears of it at once."""
    hooks: dict[str, Any] = {"error_renderer": None, "on_event": None, hook: wrong}
    with pytest.raises(TypeError, match=hook):
        Door(Idempotency(MemoryStore()), None, None, **hooks, caller="sync", wait=1.0)


def test_rules_are_made_once() -> None:
    """One per policy and operation, however many paths there are."""
    where = door()
    assert where.rule("POST", "/a") is where.rule("POST", "/b")
    assert where.rule("POST", "/a") is not where.rule("PATCH", "/a")
    assert where.rule("GET", "/a") is None


def test_settings_of_a_rule() -> None:
    """A policy has the last word, and the door the one before."""
    rule = door(HTTPPolicy(ttl=5, wait=7), ttl=9, wait=11).rule("POST", "/")
    assert rule is not None
    assert (7.0, 7.0) == (rule.wait, rule.policy.patience)
    default = door(wait=11).rule("POST", "/")
    assert default is not None
    assert 60.0 == default.wait


def test_key_is_of_caller_method_and_path() -> None:
    """The same key means another request elsewhere, or from somebody else."""
    user = ("Authorization", "a")
    different = [
        request(),
        request("PUT"),
        request("POST", "/a"),
        request("POST", "/", user),
    ]
    assert 4 == len(set(keys(*different)))
    assert 1 == len(set(keys(request(), request("POST", "/", ("X-Other", "1")))))


def test_key_is_of_a_namespace() -> None:
    """Two services may share a store."""
    assert keys(request(), namespace="a") != keys(request(), namespace="b")


def test_key_made_from_a_request_is_no_clients() -> None:
    """Nobody can send the key that another request would be given."""
    assert keys(request(), key=None) != keys(request(), key="")


async def test_nobody_needs_to_listen() -> None:
    """Without `on_event`, nothing is told."""
    app = Gated()
    app.open()
    site = Site(app)
    site.guarded._door._on_event = None
    assert (200, b"done", True) == (await site.serve(Client())).answer
