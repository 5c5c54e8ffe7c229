"""Whose key it is, and whether it is one."""

import json

import pytest

from tests.conformance.calls import JSON, Call
from tests.conformance.servers import Site
from tests.conformance.wire import Reply

MALFORMED = {
    "empty": [""],
    "empty string": ['""'],
    "unterminated": ['"abc'],
    "trailing junk": ['"abc" def'],
    "list": ["abc, def"],
    "twice": ["abc", "abc"],
    "too long": ["a" * 256],
    "not ASCII": ["ab\xe9"],
}


def problem(reply: Reply) -> tuple[int, str]:
    """Return the status and the title of a refusal, which must be a problem document."""
    document = json.loads(reply.body)
    assert "application/problem+json" == reply.headers["content-type"]
    assert (reply.status, True) == (document["status"], reply.complete)
    assert {"message", "type", "code"} <= document["error"].keys()
    return reply.status, document["title"]


def number(reply: Reply) -> int:
    """Return which execution has answered."""
    return int(json.loads(reply.body)["n"])


def test_request_without_key_runs_every_time(site: Site) -> None:
    """Nothing happens to a request that has no key."""
    call = site.call("echo")
    replies = [call.ask(b"{}", JSON), call.ask(b"{}", JSON)]
    assert [1, 2] == [number(reply) for reply in replies]
    assert not any("idempotency-replayed" in reply.headers for reply in replies)


@pytest.mark.parametrize("keys", MALFORMED.values(), ids=MALFORMED)
def test_malformed_key_is_refused(site: Site, keys: list[str]) -> None:
    """What is no key runs nothing, even where none is required."""
    call = site.call("echo")
    reply = call.ask(b"{}", JSON, *map(Call.with_key, keys))
    assert (400, 0) == (problem(reply)[0], call.executions())


def test_missing_key_is_refused_where_required(site: Site) -> None:
    """A route that requires a key runs nothing without it."""
    call = site.call("required")
    reply = call.ask(b"{}", JSON)
    assert (400, "Idempotency-Key is missing") == problem(reply)
    assert 0 == call.executions()


def test_quoted_key_is_the_bare_one(site: Site) -> None:
    """A client may write its key as a string or as it is."""
    call = site.call("required")
    keys = (call.key, f'"{call.key}"', f' "{call.key}";a=b ')
    assert [1, 1, 1] == [number(call.ask(b"{}", JSON, Call.with_key(key))) for key in keys]


def test_key_of_something_done_is_refused_for_another_payload(site: Site) -> None:
    """A key that has its outcome belongs to the request that it was sent with."""
    call = site.call("echo")
    call.post(b'{"amount": 10}')
    reply = call.post(b'{"amount": 99}')
    assert (422, "Idempotency-Key is already used") == problem(reply)
    assert 1 == call.executions()


def test_key_of_something_under_way_is_refused_for_another_payload(site: Site) -> None:
    """Nobody waits for what cannot be an answer to them."""
    call = site.call("events")
    with call.keyed(b'{"amount": 10}', gated=True) as first:
        first.until(b"1.0")
        reply = call.post(b'{"amount": 99}', gated=True)
        call.go_on()
    assert (422, "Idempotency-Key is already used") == problem(reply)
    assert 1 == call.executions()


def test_two_users_never_meet(site: Site) -> None:
    """The same key from somebody else is another key."""
    call = site.call("echo")
    users = [("Authorization", f"Bearer {name}") for name in ("anna", "ben")] * 2
    assert [1, 2, 1, 2] == [number(call.post(b"{}", JSON, user)) for user in users]
