"""Where a WSGI application runs, in which context, and for how long."""

import gc
import threading
from collections.abc import Iterator
from contextvars import ContextVar, copy_context
from typing import Any

import pytest

from idemkit import current, producers
from tests.http.counter import PATIENCE, PLAIN, Counter, Environ, Reply, Stage

# ---------------------------------------------------------------------------------- dropped


@pytest.mark.parametrize("on_disconnect", ["continue", "cancel"])
def test_answer_that_a_server_drops_is_closed(on_disconnect: str) -> None:
    """Its claim does not live for ever, nor does anything of it stay."""
    left = threading.Event()
    stage = Stage(b"a", b"b")

    class Noting:
        def close(self) -> None:
            left.set()
            body.close()  # type: ignore[attr-defined]

        def __iter__(self) -> Iterator[bytes]:
            return iter(body)

    def app(environ: Environ, start_response: Any) -> Noting:
        nonlocal body
        body = stage(environ, start_response)
        return Noting()

    body: Any = None
    counter = Counter(app, strict=False, on_disconnect=on_disconnect)
    reply = counter.ask()
    del reply
    gc.collect()
    assert left.wait(PATIENCE)
    assert {} == producers.under_way


def test_answer_that_was_read_to_its_end_needs_no_closing() -> None:
    """Test clients do not close what they have read."""
    counter = Counter(Stage(b"a"), strict=False)
    reply = counter.ask()
    assert [b"a"] == list(reply.parts)
    assert {} == producers.under_way
    assert [("executed", 200)] == counter.outcomes


def test_claims_outlive_the_threads_they_were_made_in() -> None:
    """Whoever holds the answer can still finish it."""
    counter = Counter(Stage(b"a", b"b"))
    replies: list[Reply] = []
    thread = threading.Thread(target=lambda: replies.append(counter.ask()))
    thread.start()
    thread.join()
    (producer,) = producers.under_way.values()
    assert producer.execution.alive()
    assert b"ab" == replies[0].rest()


# ---------------------------------------------------------------------------------- contexts

variable: ContextVar[str] = ContextVar("variable", default="unset")
local = threading.local()


def test_application_keeps_its_thread_and_a_context_of_its_own() -> None:
    """All of a run sees what was set before, and nobody else what it sets."""
    seen: list[Any] = []

    def played() -> Iterator[bytes]:
        try:
            seen.append((variable.get(), local.name, current() is not None))
            yield b"a"
            seen.append((variable.get(), local.name, current() is not None))
        finally:
            variable.reset(token)

    def app(_environ: Environ, start_response: Any) -> Iterator[bytes]:
        nonlocal token
        seen.append(variable.get())
        token = variable.set("inner")
        start_response("200 OK", [PLAIN])
        return played()

    token: Any = None
    local.name = "here"
    context = copy_context()
    context.run(variable.set, "outer")
    reply = context.run(Counter(app).ask)
    assert b"a" == reply.rest()
    assert ["outer", ("inner", "here", True), ("inner", "here", True)] == seen
    assert ("outer", "unset") == (context[variable], variable.get())


def test_handler_knows_who_listens() -> None:
    """The client itself, those who have joined it, and in the end nobody."""
    seen: list[Any] = []

    def played() -> Iterator[bytes]:
        for part in (b"a", b"b", b"c"):
            seen.append(current().listeners)  # type: ignore[union-attr]
            yield part

    def app(_environ: Environ, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [PLAIN])
        return played()

    counter = Counter(app)
    first, second = counter.ask(), counter.ask()
    first.next()
    first.next()
    second.close()
    first.close()
    assert [1, 2, 0] == seen
