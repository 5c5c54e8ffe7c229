"""What a client gets, and does, while the first request runs."""

import json
from contextlib import ExitStack

from tests.conformance.calls import EVENTS
from tests.conformance.servers import Site
from tests.servers import wait_until

CROWD = 30
TEXT = ("Content-Type", "text/plain")
THIRD = b"data: 1.2\n\n"


def test_stream_is_live(site: Site) -> None:
    """The first events arrive while the handler still waits to be allowed the others."""
    call = site.call("events")
    with call.keyed(gated=True) as stream:
        before = stream.until(THIRD)
        call.go_on()
        reply = stream.rest()
    assert (EVENTS[: len(before)], EVENTS, True) == (before, reply.body, reply.complete)


def test_lost_client_gets_everything_later(site: Site) -> None:
    """Who leaves after three events finds all eleven, of one execution."""
    call = site.call("events")
    with call.keyed(gated=True) as stream:
        stream.until(THIRD)
        stream.leave()
    call.go_on()
    reply = call.post(gated=True)
    assert (EVENTS, True, 1) == (reply.body, reply.complete, call.executions())


def test_second_client_joins_a_stream(site: Site) -> None:
    """Who comes late sees what was missed, and the rest as it comes."""
    call = site.call("events")
    with call.keyed(gated=True) as first:
        first.until(THIRD)
        with call.keyed(gated=True) as second:
            second.until(THIRD)
            call.go_on()
            replies = [first.rest(), second.rest()]
    assert [(EVENTS, True)] * 2 == [(reply.body, reply.complete) for reply in replies]
    assert [1, ["true"]] == [call.executions(), second.headers.all("idempotency-replayed")]


def test_crowd_is_answered_once(site: Site) -> None:
    """Thirty clients at once are one execution, and get one answer."""
    call = site.call("slow")
    with ExitStack() as crowd:
        clients = [crowd.enter_context(call.keyed(gated=True)) for _ in range(CROWD)]
        wait_until(call.executions)
        call.go_on()
        replies = [client.rest() for client in clients]
    assert [(200, b'{"n": 1}')] * CROWD == [(reply.status, reply.body) for reply in replies]
    replayed = [reply for reply in replies if "idempotency-replayed" in reply.headers]
    assert (1, CROWD - 1) == (call.executions(), len(replayed))


def test_impatient_route_refuses_who_would_wait(site: Site) -> None:
    """Where duplicates are rejected, they are told at once when to come again."""
    call = site.call("impatient")
    with call.keyed(gated=True) as first:
        wait_until(call.executions)
        refused = call.post(gated=True)
        call.go_on()
        first.rest()
    assert (409, "true") == (refused.status, refused.headers["x-should-retry"])
    assert 1 <= int(refused.headers["retry-after"]) <= 5


def test_half_a_request_runs_nothing(site: Site) -> None:
    """A client that leaves before it has sent its whole body has asked for nothing."""
    call = site.call("echo")
    with call.keyed(b"half", ("Content-Length", "8"), TEXT) as half:
        half.leave()
    whole = call.post(b"complete", TEXT)
    assert (200, 1, 1) == (whole.status, json.loads(whole.body)["n"], call.executions())
