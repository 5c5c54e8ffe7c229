"""However a WSGI answer ends: closed early, failed, stopped, or taken over."""

import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from idemkit import ClaimLostError, InDoubtError, StreamInterruptedError, current, producers
from idemkit.testing.faults import preceded_by, straight
from tests.http.counter import (
    BEYOND_THE_LEASE,
    PATIENCE,
    PLAIN,
    Counter,
    Environ,
    Stage,
    problem,
)


class Body:
    """A body that says what is done with it.

    Args:
        parts: Its parts; exceptions are raised.
        error: What closing it raises.
    """

    def __init__(self, *parts: Any, error: BaseException | None = None) -> None:
        self.parts = list(parts)
        self.error = error
        self.closed = 0

    def __call__(self, _environ: Environ, start_response: Any) -> "Body":
        """Answer with it."""
        start_response("200 OK", [PLAIN])
        return self

    def __iter__(self) -> Iterator[bytes]:
        while self.parts:
            part = self.parts.pop(0)
            if isinstance(part, BaseException):
                raise part
            yield part

    def close(self) -> None:
        """Count."""
        self.closed += 1
        if self.error is not None:
            raise self.error


# ---------------------------------------------------------------------------- closed early


@pytest.mark.parametrize("read", [0, 1])
def test_client_that_leaves_lets_the_work_finish(read: int) -> None:
    """It is recorded, and the body is closed once, however often the answer is."""
    body = Body(b"a", b"b", b"c")
    counter = Counter(body, strict=False)
    reply = counter.ask()
    for _ in range(read):
        reply.next()
    reply.close()
    reply.close()
    again = counter.ask()
    assert (b"abc", True, 1) == (again.rest(), again.replayed, body.closed)
    assert ["left", "replayed"] == [outcome for outcome, _ in counter.outcomes]


def test_client_that_leaves_may_cancel_the_work() -> None:
    """The body is closed where it is, and the next request runs."""
    stage = Stage(b"a", b"b")
    counter = Counter(stage, on_disconnect="cancel")
    counter.ask().close()
    notes, reply = list(stage.notes), counter.ask()
    assert ([b"a", "left"], b"ab", False) == (notes, reply.rest(), reply.replayed)
    assert [("left", 200), ("executed", 200)] == counter.outcomes


def test_client_that_leaves_with_others_listening_cancels_nothing() -> None:
    """The answer is theirs too."""
    stage = Stage(b"a", b"b")
    counter = Counter(stage, on_disconnect="cancel")
    first, second = counter.ask(), counter.ask()
    first.close()
    assert (b"ab", 1) == (second.rest(), stage.runs)


def test_whatever_comes_after_the_last_byte_is_done() -> None:
    """Servers do not ask for more when the length is reached."""
    stage = Stage(b"ab", b"", headers=[PLAIN, ("Content-Length", "2")])
    counter = Counter(stage, on_disconnect="cancel")
    reply = counter.ask()
    reply.next()
    reply.close()
    assert ([b"ab", b"", "left"], [("executed", 200)]) == (stage.notes, counter.outcomes)


def test_error_with_nobody_listening_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """There is nobody else to hear of it."""
    error = ValueError("no")
    counter = Counter(Stage(b"a", error))
    counter.ask().close()
    (record,) = caplog.records
    assert ("POST failed with nobody listening", logging.ERROR) == (
        record.getMessage(),
        record.levelno,
    )
    assert error is record.exc_info[1]  # type: ignore[index]
    assert [("left", 200)] == counter.outcomes


# --------------------------------------------------------------------------------- failures


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(1), KeyboardInterrupt()], ids=repr)
@pytest.mark.parametrize("before", [(), (b"a",)], ids=["first", "middle"])
def test_failing_body(error: BaseException, before: tuple[bytes, ...]) -> None:
    """The server gets the error, the body is closed, and the next request runs."""
    body = Body(*before, error, b"b")
    counter = Counter(body, strict=False)
    with pytest.raises(type(error)):
        counter.ask().rest()
    assert 1 == body.closed
    assert b"b" == counter.ask().rest()
    status = 200 if before else None
    assert [("failed", status), ("executed", 200)] == counter.outcomes


def test_failing_application() -> None:
    """It fails before it answers at all."""
    stage = Stage(b"a", failures=[ValueError("no")])
    counter = Counter(stage)
    with pytest.raises(ValueError, match="no"):
        counter.ask()
    assert (b"a", 2) == (counter.ask().rest(), stage.runs)


def test_failing_ttl() -> None:
    """A hook that fails costs nothing, for it is asked first."""

    def ttl(_call: Any) -> float:
        raise ValueError("no")

    stage = Stage(b"a")
    counter = Counter(stage, guard={"ttl": ttl})
    with pytest.raises(ValueError, match="no"):
        counter.ask()
    assert 0 == stage.runs


def test_failing_close() -> None:
    """It does not matter any more, but for the server, who gets the error."""
    body = Body(b"a", error=ValueError("no"))
    counter = Counter(body, strict=False)
    with pytest.raises(ValueError, match="no"):
        counter.ask().rest()
    again = counter.ask()
    assert (b"a", True, 1) == (again.rest(), again.replayed, body.closed)


@pytest.mark.parametrize("interrupt", [SystemExit(1), KeyboardInterrupt()], ids=repr)
def test_interrupt_with_nobody_listening(interrupt: BaseException) -> None:
    """It is for whoever runs the thread, and the body is closed before."""
    body = Body(b"a", interrupt)
    counter = Counter(body, strict=False)
    reply = counter.ask()
    with pytest.raises(type(interrupt)):
        reply.close()
    assert (1, {}) == (body.closed, producers.under_way)


def test_error_after_the_last_byte_changes_nothing() -> None:
    """The server gets it, and the answer is kept."""
    counter = Counter(Stage(b"ab", ValueError("no"), headers=[PLAIN, ("Content-Length", "2")]))
    reply = counter.ask()
    with pytest.raises(ValueError, match="no"):
        reply.rest()
    again = counter.ask()
    assert (b"ab", True) == (again.rest(), again.replayed)
    assert [("executed", 200), ("replayed", 200)] == counter.outcomes


# ---------------------------------------------------------------------------------- stopped


def test_cancelled_before_its_first_part() -> None:
    """The client hears that it may come again."""
    parts: list[Any] = []

    def cancelled() -> Iterator[bytes]:
        counter.idempotency.cancel(str(current().key))  # type: ignore[union-attr]
        yield b"a"

    def app(_environ: Environ, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [PLAIN])
        parts.append(1)
        return cancelled() if len(parts) == 1 else iter([b"b"])

    counter = Counter(app)
    assert ("503 Service Unavailable", "failed") == problem(counter.ask())
    assert b"b" == counter.ask().rest()
    assert [("refused", 503), ("executed", 200)] == counter.outcomes


def test_error_about_this_very_call() -> None:
    """The client is told what it means, as it is when the guard itself finds out."""

    def app(_environ: Environ, _start: Any) -> list[bytes]:
        raise InDoubtError("of a step", key=current().key)  # type: ignore[union-attr]

    counter = Counter(app)
    assert ("409 Conflict", "in-doubt") == problem(counter.ask())
    assert [("refused", 409)] == counter.outcomes


def test_run_that_takes_too_long() -> None:
    """It ends at a part that is not its last."""
    stage = Stage(b"a", b"b")
    counter = Counter(stage, guard={"max_run": 1e-6})
    assert ("503 Service Unavailable", "failed") == problem(counter.ask())
    assert [b"a", "left"] == stage.notes


def test_run_that_took_long_and_is_over() -> None:
    """What has been done is done."""

    def app(_environ: Environ, start_response: Any) -> list[bytes]:
        start_response("200 OK", [PLAIN])
        return [b"a"]

    counter = Counter(app, strict=False, guard={"max_run": 1e-6})
    assert (b"a", True) == (counter.ask().rest(), counter.ask().replayed)


def test_run_that_took_long_and_says_how_much_it_sends() -> None:
    """A part that fulfills the declared length is the last, whatever the application returns."""
    stage = Stage(b"a", headers=[PLAIN, ("Content-Length", "1")])
    counter = Counter(stage, guard={"max_run": 1e-6})
    first, again = counter.ask().rest(), counter.ask()
    assert (b"a", b"a", True) == (first, again.rest(), again.replayed)


def test_cancelled_in_the_middle() -> None:
    """The answer breaks off at the next part, and so do those of the others."""
    stage = Stage(b"a", b"b", b"c")
    counter = Counter(stage)
    first, second = counter.ask(), counter.ask()
    first.next()
    second.next()
    counter.idempotency.cancel(str(counter.events[0].key))
    for reply in (first, second):
        with pytest.raises(StreamInterruptedError) as told:
            reply.rest()
        assert told.value.cancelled
    assert [b"a", b"b", "left"] == stage.notes


def test_stopped_with_nobody_listening(caplog: pytest.LogCaptureFixture) -> None:
    """That is no failure, and nobody needs to know."""
    stage = Stage(b"a", b"b")
    reply = Counter(stage).ask()
    (producer,) = producers.under_way.values()
    producer.stop()
    reply.close()
    assert ([], [b"a", b"b", "left"]) == (caplog.records, stage.notes)


def test_end_that_is_there_cannot_be_cancelled() -> None:
    """What comes after a complete answer is the application's own."""
    stage = Stage(b"ab", headers=[PLAIN, ("Content-Length", "2")])
    counter = Counter(stage)
    reply = counter.ask()
    for producer in list(producers.under_way.values()):
        producer.stop()
    assert (b"ab", [b"ab", "left"]) == (reply.rest(), stage.notes)


# ------------------------------------------------------------------------------- taken over


@pytest.mark.parametrize("written", [False, True])
def test_answer_of_another_caller_who_took_over(written: bool) -> None:
    """The client gets the winner's answer, and nothing of the loser's."""

    def app(_environ: Environ, start_response: Any) -> list[bytes]:
        write = start_response("200 OK", [PLAIN, ("Content-Length", "5")])
        if written:
            write(b"loser")
        return [] if written else [b"loser"]

    counter = Counter(app)
    counter.store.suffer("complete", preceded_by(counter.elsewhere(Stage(b"winner"))))
    reply = counter.ask()
    assert (b"winner", True) == (reply.rest(), reply.replayed)
    assert [("replayed", 200)] == counter.outcomes


def test_takeover_by_a_caller_who_still_runs() -> None:
    """The client waits for that one, and comes again when its patience is over."""
    gate = threading.Event()
    rivals: list[threading.Thread] = []

    def overtaken() -> None:
        counter.clock.advance(BEYOND_THE_LEASE)
        rivals.append(threading.Thread(target=lambda: rival.ask().rest()))
        rivals[0].start()
        rival.store.until("claim", ended=True)

    counter = Counter(Stage(b"ab", headers=[PLAIN, ("Content-Length", "2")]), wait=0)
    rival = Counter(Stage(gate, b"winner"), counter.memory)
    counter.store.suffer("complete", preceded_by(overtaken))
    assert ("409 Conflict", "outstanding") == problem(counter.ask())
    gate.set()
    rivals[0].join(PATIENCE)
    assert (b"winner", [("refused", 409)]) == (counter.ask().rest(), counter.outcomes[:1])


@pytest.mark.parametrize("mine", [True, False])
def test_application_that_notices_a_takeover(mine: bool) -> None:
    """It lets the error pass, and the client gets the winner's answer."""

    def app(_environ: Environ, _start: Any) -> list[bytes]:
        counter.elsewhere(Stage(b"winner"))()
        key = current().key if mine else "other:1"  # type: ignore[union-attr]
        raise ClaimLostError("lost", key=key)

    counter = Counter(app)
    if mine:
        assert b"winner" == counter.ask().rest()
        return
    with pytest.raises(ClaimLostError):
        counter.ask()
    assert [("failed", None)] == counter.outcomes


def test_takeover_noticed_after_the_first_part() -> None:
    """What has begun cannot be replaced."""

    def played() -> Iterator[bytes]:
        key = current().key  # type: ignore[union-attr]
        yield b"a"
        raise ClaimLostError("lost", key=key)

    def app(_environ: Environ, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [PLAIN])
        return played()

    counter = Counter(app)
    reply = counter.ask()
    assert b"a" == reply.next()
    with pytest.raises(ClaimLostError):
        reply.rest()


def test_takeover_noticed_while_it_is_written() -> None:
    """Likewise, though the application has not returned."""

    def app(_environ: Environ, start_response: Any) -> list[bytes]:
        start_response("200 OK", [PLAIN])(b"a")
        raise ClaimLostError("lost", key=current().key)  # type: ignore[union-attr]

    with pytest.raises(ClaimLostError):
        Counter(app).ask()


def test_second_run_finds_the_request_as_it_came() -> None:
    """Whatever the first has made of its environment."""
    seen: list[Any] = []

    def app(environ: Environ, start_response: Any) -> list[bytes]:
        seen.append((environ.pop("PATH_INFO"), environ["wsgi.input"].read(9)))
        start_response("200 OK", [PLAIN])
        return [b"a"]

    counter = Counter(app, strict=False)
    counter.store.suffer("complete", preceded_by(counter.elsewhere(Stage(b"b"), b"body")))
    expiry = preceded_by(lambda: counter.clock.advance(90_000))
    counter.store.suffer("claim", straight, straight, expiry)
    again = counter.ask(b"body")
    assert b"a" == again.rest()
    assert [("/", b"body")] * 2 == seen
