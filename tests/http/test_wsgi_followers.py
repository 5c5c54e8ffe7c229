"""What duplicates get from `idemkit.http.wsgi`: while the first request runs, and afterwards."""

import gc
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from idemkit import ReentrantCallError, StreamInterruptedError, idempotent, step
from idemkit.http import wsgi
from idemkit.testing.faults import followed_by, preceded_by, raising, request_lost, straight
from tests.http.counter import (
    EVENTS,
    PATIENCE,
    PLAIN,
    UNPROCESSABLE,
    Counter,
    Environ,
    Stage,
    asked,
    problem,
)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    """Return threads that have ended when the test has."""
    with ThreadPoolExecutor(4) as threads:
        yield threads


# -------------------------------------------------------------------------------- attaching


def test_duplicate_reads_along(threads: ThreadPoolExecutor) -> None:
    """In another thread it gets each part as soon as the first client does."""
    stage = Stage(b"a", b"b")
    counter = Counter(stage)
    first = counter.ask()
    second = threads.submit(counter.ask).result(PATIENCE)
    assert (b"a", [b"a"]) == (threads.submit(second.next).result(PATIENCE), stage.notes)
    end = threads.submit(second.rest)
    assert (b"ab", b"b") == (first.rest(), end.result(PATIENCE))
    assert (1, True, "200 OK") == (stage.runs, second.replayed, second.status)
    assert [("joined", 200), ("executed", 200)] == counter.outcomes


@pytest.mark.parametrize(
    "headers", [[PLAIN], [PLAIN, ("Content-Length", "2")]], ids=["open", "length"]
)
def test_duplicate_waits_for_the_beginning(threads: ThreadPoolExecutor, headers: Any) -> None:
    """It has asked before the application has said anything."""
    gate = threading.Event()
    stage = Stage(gate, b"ab", headers=headers)
    counter = Counter(stage)
    counter.store.suffer("claim", straight, followed_by(gate.set))
    first = threads.submit(lambda: counter.ask().rest())
    counter.store.until("claim")
    second = counter.ask()
    assert (b"ab", b"ab", True) == (second.rest(), first.result(PATIENCE), second.replayed)
    assert 1 == stage.runs


def test_last_byte_for_a_duplicate_comes_when_all_is_recorded(threads: ThreadPoolExecutor) -> None:
    """With a length it knows the end by it."""
    gate = threading.Event()
    counter = Counter(Stage(b"a", b"b", headers=[PLAIN, ("Content-Length", "2")]))
    counter.store.suffer("complete", preceded_by(gate.wait))
    first, second = counter.ask(), counter.ask()
    assert b"a" == second.next()
    first.next()
    recorded = threads.submit(first.rest)
    last = threads.submit(second.next)
    counter.store.until("complete")
    assert not last.done()
    gate.set()
    assert (b"b", b"b") == (last.result(PATIENCE), recorded.result(PATIENCE))
    second.close()


def test_sign_of_life_for_a_client_of_events(
    threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two events, and never within one."""
    monkeypatch.setattr(wsgi, "KEEP_ALIVE_SECONDS", 0.0)
    counter = Counter(Stage(b"data: a\n\n", b"data:", b" b\n\n", headers=[EVENTS]))
    first = threads.submit(counter.ask).result(PATIENCE)
    second = counter.ask()
    seen = [second.next() for _ in range(3)]
    assert [b"data: a\n\n", b": keep-alive\n\n", b": keep-alive\n\n"] == seen
    threads.submit(first.rest).result(PATIENCE)
    assert b"data: b\n\n" == second.rest().replace(b": keep-alive\n\n", b"")


def test_duplicate_in_the_very_thread_of_the_first() -> None:
    """It gets what is there, and does not wait for ever for what is not."""
    counter = Counter(Stage(b"a", b"b"))
    first, second = counter.ask(), counter.ask()
    assert b"a" == second.next()
    with pytest.raises(ReentrantCallError, match="this very thread"):
        second.next()
    second.close()
    assert b"ab" == first.rest()


def test_duplicate_that_leaves_disturbs_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be it that the server drops its answer and does not close it."""
    monkeypatch.setattr(wsgi, "in_thread", lambda close: close())
    counter = Counter(Stage(b"a", b"b"), strict=False)
    first, second = counter.ask(), counter.ask()
    feed = second.parts._answer._reader.feed
    del second
    gc.collect()
    assert (1, b"ab") == (feed.readers, first.rest())


@pytest.mark.parametrize("limit", [1000, 1])
def test_duplicate_in_another_process(threads: ThreadPoolExecutor, limit: int) -> None:
    """It waits for the record of an answer in one piece."""
    gate = threading.Event()
    stage = Stage(gate, b"ab", headers=[PLAIN, ("Content-Length", "2")])
    counter = Counter(stage, max_response=limit)
    elsewhere = Counter(stage, counter.memory)
    elsewhere.store.suffer("watch", followed_by(gate.set))
    first = threads.submit(lambda: counter.ask().rest())
    counter.store.until("claim", ended=True)
    second = elsewhere.ask()
    if limit == 1:
        assert ("409 Conflict", "not-retained") == problem(second)
    else:
        assert (b"ab", True, "2") == (
            second.rest(),
            second.replayed,
            second.headers["Content-Length"],
        )
    assert (b"ab", 1) == (first.result(PATIENCE), stage.runs)


# ---------------------------------------------------------------------------------- failures


@pytest.mark.parametrize(
    "failing",
    [
        Stage(b"no", status="500 No"),
        Stage(b"n", b"o", status="429 No"),
        Stage(ValueError("no")),
    ],
    ids=["unkept", "streamed", "raised"],
)
def test_waiter_takes_over(threads: ThreadPoolExecutor, failing: Stage) -> None:
    """What failed, or is not kept, is for its own client alone."""
    gate, runs = threading.Event(), []

    def app(environ: Environ, start_response: Any) -> Any:
        runs.append(1)
        if len(runs) == 2:
            return Stage(b"yes")(environ, start_response)
        assert gate.wait(PATIENCE)
        return failing(environ, start_response)

    counter = Counter(app)
    counter.store.suffer("claim", straight, followed_by(gate.set))
    first = threads.submit(lambda: counter.ask().rest())
    counter.store.until("claim")
    second = counter.ask()
    assert (b"yes", False, 2) == (second.rest(), second.replayed, len(runs))
    failed = first.exception(PATIENCE)
    assert "no" == (str(failed) if failed else first.result().decode())


def test_answer_that_breaks_off_breaks_off_for_all() -> None:
    """A duplicate must not take what it has for the whole."""
    counter = Counter(Stage(b"a", ValueError("no")))
    first, second = counter.ask(), counter.ask()
    first.next()
    second.next()
    with pytest.raises(ValueError, match="no"):
        first.rest()
    with pytest.raises(StreamInterruptedError):
        second.rest()


def test_failed_answer_runs_again() -> None:
    """An answer that is not kept is given once."""
    stage = Stage(b"no", status="503 No")
    replies = asked(Counter(stage), 2)
    assert ([(b"no", False)] * 2, 2) == (
        [(reply.body, reply.replayed) for reply in replies],
        stage.runs,
    )


def test_answer_that_is_too_large_is_not_retained() -> None:
    """Its client has it, and the operation does not run again."""
    stage = Stage(b"a" * 9, b"b" * 9)
    counter = Counter(stage, max_response=10)
    counter.ask().rest()
    assert ("409 Conflict", "not-retained") == problem(counter.ask())
    assert 1 == stage.runs


# ---------------------------------------------------------------------------------- refusals


def test_patience_ends(threads: ThreadPoolExecutor) -> None:
    """Then the client is to come again."""
    gate = threading.Event()
    counter = Counter(Stage(gate, b"a"), wait=0)
    first = threads.submit(lambda: counter.ask().rest())
    counter.store.until("claim", ended=True)
    second = counter.ask()
    assert ("409 Conflict", "outstanding") == problem(second)
    assert "1" == second.headers["Retry-After"]
    gate.set()
    assert b"a" == first.result(PATIENCE)


def test_duplicate_is_refused_at_once(threads: ThreadPoolExecutor) -> None:
    """With `on_duplicate="reject"`."""
    gate = threading.Event()
    counter = Counter(Stage(gate, b"a"), on_duplicate="reject")
    first = threads.submit(lambda: counter.ask().rest())
    counter.store.until("claim", ended=True)
    assert ("409 Conflict", "outstanding") == problem(counter.ask())
    gate.set()
    assert b"a" == first.result(PATIENCE)


def test_other_request_is_refused_while_the_first_runs() -> None:
    """The key is in use already."""
    counter = Counter(Stage(b"a"))
    first = counter.ask(b"x")
    assert (UNPROCESSABLE, "reused") == problem(counter.ask(b"y"))
    first.close()


def test_store_that_is_down() -> None:
    """Nothing runs."""
    stage = Stage(b"a")
    counter = Counter(stage)
    counter.store.suffer("claim", request_lost)
    assert ("503 Service Unavailable", "unavailable") == problem(counter.ask())
    assert 0 == stage.runs


@pytest.mark.parametrize("parts", [(b"a",), (b"a", b"b")])
def test_store_that_is_down_may_not_matter(parts: tuple[bytes, ...]) -> None:
    """The request runs, and its answer says that nobody guards it."""
    stage = Stage(*parts)
    counter = Counter(stage, guard={"on_store_error": "run"})
    counter.store.suffer("claim", then=request_lost)
    replies = asked(counter, 2)
    assert [(b"".join(parts), "store-unavailable")] * 2 == [
        (reply.body, reply.headers["Idempotency-Unguarded"]) for reply in replies
    ]
    assert (2, [("unprotected", 200)] * 2) == (stage.runs, counter.outcomes)


def test_interrupt_while_it_waits() -> None:
    """It is for whoever runs the thread, and nothing is left of the wait."""
    counter = Counter(Stage(b"a"))
    counter.store.suffer("claim", raising(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        counter.ask()


# ------------------------------------------------------------------------- inside of a request


def test_steps_and_guarded_functions_inside() -> None:
    """A second attempt does not repeat what the first has done."""
    done: list[str] = []

    @idempotent(name="shop.charge", key=lambda name: name)
    def charge(name: str) -> None:
        done.append(name)

    def app(_environ: Environ, start_response: Any) -> list[bytes]:
        step("reserve", done.append, "reserved")
        charge("charged")
        if done.count("tried") == 0:
            done.append("tried")
            raise ValueError("no")
        start_response("200 OK", [PLAIN])
        return [b"a"]

    counter = Counter(app)
    with pytest.raises(ValueError, match="no"):
        counter.ask()
    assert b"a" == counter.ask().rest()
    assert ["reserved", "charged", "tried"] == done
