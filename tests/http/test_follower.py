"""One client on its way to an answer: what it hears, and what telemetry hears of it."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from idemkit import StreamInterruptedError
from idemkit.core.colour import drive
from idemkit.core.ending import Ending
from idemkit.core.execution import Execution
from idemkit.core.result import Result
from idemkit.http.follower import Answer, Follower, GoneError
from idemkit.http.views import Request
from idemkit.protocol import Claim, Kind, Terms
from idemkit.testing.faults import preceded_by, straight
from tests.core.conftest import backend
from tests.core.worlds import Backend
from tests.http.counter import PATIENCE, PLAIN, Counter, Stage, asked, environ, problem

__all__ = ["backend"]


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    """Return threads that have ended when the test has."""
    with ThreadPoolExecutor(4) as threads:
        yield threads


def follower(counter: Counter) -> Follower:
    """Return a client of a guarded application."""
    door = counter.guarded._door
    request = Request.of_environ(environ(b"", "k"))
    rule = door.rule("POST", "/")
    assert rule is not None
    case = door.case(rule, request, "k", b"")
    return Follower(door.engine, case, PATIENCE)


def at_once() -> None:
    """Take note that a client waits."""


def test_client_that_has_gone_wants_nothing() -> None:
    """It does not even claim."""
    counter = Counter(Stage(b"a"))
    client = follower(counter)
    client.disconnected()
    with pytest.raises(GoneError):
        drive(client.arrive(at_once))
    assert [] == counter.store.sent


def test_patience_that_ends_after_a_failure(threads: ThreadPoolExecutor) -> None:
    """Who has seen one attempt fail hears that, and not only that another is at it."""
    gate, never = threading.Event(), threading.Event()
    counter = Counter(Stage(gate, b"no", status="500 No"))
    rival = Counter(Stage(never, b"a"), counter.memory)
    running: list[Any] = []

    def overtaken() -> None:
        running.append(threads.submit(lambda: rival.ask().rest()))
        rival.store.until("claim", ended=True)

    def waits() -> None:
        if gate.is_set():
            client._until = 0.0
        gate.set()

    counter.store.suffer("claim", straight, straight, preceded_by(overtaken))
    first = threads.submit(lambda: counter.ask().rest())
    counter.store.until("claim", ended=True)
    client = follower(counter)
    with pytest.raises(StreamInterruptedError, match="failed that this one waited for"):
        drive(client.arrive(waits))
    never.set()
    assert [b"no", b"a"] == [future.result(PATIENCE) for future in (first, *running)]


def test_cancelled_call_is_not_made_again(threads: ThreadPoolExecutor) -> None:
    """Whoever waited for it hears that it was cancelled."""
    counter = Counter(Stage(gate := threading.Event(), b"a"))
    first = threads.submit(lambda: counter.ask().rest())
    counter.store.until("claim", ended=True)

    def cancelled() -> None:
        counter.idempotency.cancel(client.key)
        gate.set()

    client = follower(counter)
    with pytest.raises(StreamInterruptedError) as told:
        drive(client.arrive(cancelled))
    assert (True, True) == (told.value.cancelled, b"failed" in first.result(PATIENCE))


def test_record_that_is_no_answer() -> None:
    """What something else has recorded under the key is not taken for one."""
    counter = Counter(Stage(b"a"))
    client = follower(counter)
    execution = drive(client.arrive(at_once))
    assert isinstance(execution, Execution)
    with execution:
        result = Result(Kind.VALUE, "json", b"1", 60.0, 0.0)
        drive(counter.guarded._door.engine.settle(execution, Ending(result=result)))
    assert ("409 Conflict", "not-retained") == problem(counter.ask())


def test_nothing_to_reach_in_an_answer_that_is_there() -> None:
    """It has no reader."""
    counter = Counter(Stage(b"a", headers=[PLAIN, ("Content-Length", "1")]))
    counter.ask().rest()
    answer = drive(follower(counter).arrive(at_once))
    assert isinstance(answer, Answer)
    answer.reach()
    assert b"a" == answer.whole


def test_abandoned_request_is_recovered() -> None:
    """An owner that vanished is followed by the next."""
    counter = Counter(Stage(b"a"))
    call = follower(counter)._call
    command = Claim(b"somebody-else-16", call.fingerprint, Terms(lease=1000))
    drive(counter.memory.claim(call.address, command))
    counter.clock.advance(2)
    assert b"a" == counter.ask().rest()
    assert [("recovered", 200)] == counter.outcomes


def test_claim_is_handed_on() -> None:
    """Who comes first is to make the answer."""
    counter = Counter(Stage(b"a"))
    execution = drive(follower(counter).arrive(at_once))
    assert isinstance(execution, Execution)
    with execution:
        pass


# --------------------------------------------------------------------------------- telemetry


def spans(backend: Backend) -> list[dict[str, Any]]:
    """Return what spans say of answers, in the order in which they ended."""
    said = [dict(span.attributes or {}) for span in backend.spans.get_finished_spans()]
    names = ("outcome", "stream.chunks", "stream.size", "stream.readers")
    return [
        {name: one[f"idemkit.{name}"] for name in names if f"idemkit.{name}" in one} for one in said
    ]


@pytest.mark.parametrize("parts", [(b"ab",), (b"a", b"b")], ids=["whole", "streamed"])
def test_what_a_replay_says(backend: Backend, parts: tuple[bytes, ...]) -> None:
    """A span each, which counts what went by."""
    headers = [PLAIN, ("Content-Length", "2")]
    asked(Counter(Stage(*parts, headers=headers)), 2)
    count = {"stream.chunks": len(parts), "stream.size": 2}
    assert [
        {"outcome": "executed", **count, "stream.readers": 0},
        {"outcome": "replayed", **count},
    ] == spans(backend)


def test_what_a_duplicate_says_that_reads_along(backend: Backend) -> None:
    """It says so when it has come to its end, or has left; the first counts it."""
    counter = Counter(Stage(b"a", b"b"))
    first, second, third = (counter.ask() for _ in range(3))
    third.next()
    third.close()
    first.rest()
    second.rest()
    assert [
        {"outcome": "joined", "stream.chunks": 1, "stream.size": 1},
        {"outcome": "executed", "stream.chunks": 2, "stream.size": 2, "stream.readers": 2},
        {"outcome": "joined", "stream.chunks": 2, "stream.size": 2},
    ] == spans(backend)


def test_origin_is_what_the_record_says(backend: Backend) -> None:
    """A replay of a sequence names the span that made it."""
    counter = Counter(Stage(b"a", b"b"))
    asked(counter, 2)
    executed, replayed = backend.spans.get_finished_spans()
    assert executed.context is not None
    (link,) = replayed.links
    assert executed.context.span_id == link.context.span_id
