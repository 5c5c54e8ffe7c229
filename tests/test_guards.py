"""Every option does what it says, for functions and coroutine functions alike."""

# ruff: noqa: ARG005 - a hook takes what it is given, by the names of the arguments

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from idemkit import (
    Done,
    Idempotency,
    InDoubtError,
    InProgressError,
    KeyReusedError,
    MaxRunExceededError,
    NotDone,
    Outcome,
    ResultNotSerializableError,
    ResultUnavailableError,
    ResultUnreadableError,
    StoreUnavailableError,
    Unknown,
)
from idemkit.core.call import Call
from idemkit.core.colour import drive
from idemkit.core.telemetry import discovery
from idemkit.protocol import Situation, classify
from idemkit.testing.faults import raising, request_lost
from tests.doors import Body, Door
from tests.servers import wait_until

TENANT: ContextVar[str] = ContextVar("tenant", default="nobody")


@pytest.fixture(params=["sync", "async"])
def door(request: pytest.FixtureRequest) -> Iterator[Door]:
    """Return a door of each colour."""
    if request.param == "sync":
        yield Door(None)
        return
    with asyncio.Runner() as runner:
        yield Door(runner)


def seen(outcome: Outcome[Any]) -> tuple[Any, str]:
    """Return what a caller got, and how."""
    return outcome.value, outcome.kind


def failing(error: BaseException) -> Callable[..., Any]:
    """Return a hook that raises."""

    def hook(*_: object) -> Any:
        raise error

    return hook


# ---------------------------------------------------------------------------- run, replay


def test_duplicate_gets_the_recorded_result(door: Door) -> None:
    """The body runs once per key."""
    body = Body()
    pay = door.guard(body.pay)
    assert [[5, "", 1]] * 2 == [door.run(pay(5)), door.run(pay(5))]


def test_other_arguments_are_another_call(door: Door) -> None:
    """Another key runs the body again."""
    pay = door.guard(Body().pay)
    assert [[5, "", 1], [6, "", 2]] == [door.run(pay(5)), door.run(pay(6))]


def test_spellings_of_one_call_are_one_call(door: Door) -> None:
    """Positions, names and defaults lead to the same key."""
    pay = door.guard(Body().pay)
    spellings = (pay.key(5), pay.key(amount=5), pay.key(5, note=""), pay.key(5, ""))
    assert {pay.key(5)} == set(spellings)


def test_replay_is_an_isolated_copy(door: Door) -> None:
    """Nobody sees what another caller does to their result."""
    pay = door.guard(Body().pay)
    door.run(pay(5)).append("changed")
    door.run(pay(5)).append("changed again")
    assert [5, "", 1] == door.run(pay(5))


@pytest.mark.parametrize("value", [None, False, 0, 0.0, "", b"", [], {}], ids=repr)
def test_falsy_results_are_results(door: Door, value: object) -> None:
    """What is false is recorded like anything else."""
    body = Body()
    give = door.guard(lambda amount: body.pay(amount) and value)
    assert (value, value, 1) == (door.run(give(1)), door.run(give(1)), body.runs)


def test_near_outcome_asks_nobody(door: Door) -> None:
    """A replay that this process can tell by itself costs no command."""
    pay = door.guard(Body().pay)
    door.run(pay(5))
    sent = len(door.store.sent)
    door.run(pay(5))
    assert sent == len(door.store.sent)


def test_far_outcome_is_replayed(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """A replay that only the store can tell costs one claim."""
    pay = door.guard(Body().pay)
    door.run(pay(5))
    monkeypatch.setattr(door.store, "recall", lambda *_: None)
    door.store.sent.clear()
    assert ([5, "", 1], ["claim"]) == (door.run(pay(5)), door.store.sent)


def test_far_outcome_is_told(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """The outcome of such a replay says that it is one."""
    pay = door.guard(Body().pay)
    door.run(pay(5))
    monkeypatch.setattr(door.store, "recall", lambda *_: None)
    assert ([5, "", 1], "replayed") == seen(door.run(pay.outcome(5)))


# ---------------------------------------------------------------------------- exceptions


def test_exception_passes_untouched(door: Door) -> None:
    """The caller gets the very exception of the body, without company."""
    error = LookupError("no such account")
    pay = door.guard(Body(error).pay)
    with pytest.raises(LookupError) as caught:
        door.run(pay(5))
    assert (True, None, None) == (
        caught.value is error,
        caught.value.__context__,
        caught.value.__cause__,
    )


class Document:
    """A large argument."""

    def __idempotency_key__(self) -> str:
        """Say which."""
        return "large"


@pytest.fixture
def uncollected() -> Iterator[None]:
    """Let nothing be freed but by the count of its references."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("uncollected")
def test_failure_keeps_nothing_alive() -> None:
    """A failed call's arguments are freed with its exception."""
    pay = Idempotency().idempotent(Body(LookupError()).pay)
    freed = weakref.ref(document := Document())
    with suppress(LookupError):
        pay(document)
    del document
    assert None is freed()


@pytest.mark.usefixtures("uncollected")
def test_failed_coroutine_keeps_nothing_alive() -> None:
    """So are those of a coroutine function."""
    body = Body(LookupError())

    @Idempotency().idempotent
    async def pay(amount: Document) -> None:
        body.pay(amount)

    async def scene() -> Document | None:
        freed = weakref.ref(document := Document())
        with suppress(LookupError):
            await pay(document)
        del document
        return freed()

    assert None is asyncio.run(scene())


def test_failure_is_no_outcome(door: Door) -> None:
    """After an exception the next call runs."""
    pay = door.guard(Body(LookupError()).pay)
    with pytest.raises(LookupError):
        door.run(pay(5))
    assert ([5, "", 2], 2) == ((got := door.run(pay.outcome(5))).value, got.attempt)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_interrupt_gives_the_claim_back(door: Door, kind: type[BaseException]) -> None:
    """Whoever is told to stop leaves the key to the next caller."""
    pay = door.guard(Body(kind()).pay)
    with pytest.raises(kind):
        door.run(pay(5))
    assert "executed" == door.run(pay.outcome(5)).kind


def test_stop_iteration_passes_through() -> None:
    """What a body reads from an exhausted iterator reaches its caller as it is."""
    error = StopIteration("exhausted")
    pay = Door(None).guard(Body(error).pay)
    with pytest.raises(StopIteration) as caught:
        pay(5)
    assert error is caught.value


def test_cancelled_body_gives_the_claim_back() -> None:
    """A cancelled task leaves the key to the next caller."""

    async def scene() -> str:
        idem = Idempotency()
        started = asyncio.Event()

        @idem.idempotent
        async def pay(amount: int) -> int:
            if not started.is_set():
                started.set()
                await asyncio.sleep(60)
            return amount

        task = asyncio.create_task(pay(5))
        await started.wait()
        task.cancel()
        await asyncio.wait([task])
        return (await pay.outcome(5)).kind

    assert "executed" == asyncio.run(scene())


class Never:
    """What is awaited in vain."""

    def __await__(self) -> Iterator[None]:
        """Suspend."""
        yield


@pytest.mark.parametrize("place", ["hook", "body", "effect"])
def test_closed_coroutine_leaves_its_claim_in_doubt(place: str) -> None:
    """A coroutine that nobody resumes awaits nothing more; the beat thread gives its claim back."""
    door = Door(None)

    async def stuck(_: object) -> None:
        await Never()

    @Idempotency(door.memory).idempotent(
        on_abandoned=stuck if place == "hook" else "retry",
        effects=[stuck] if place == "effect" else [],
    )
    async def pay(_amount: int) -> None:
        if place != "effect":
            await Never()

    async def begin() -> Any:
        coroutine = pay(5)
        coroutine.send(None)
        return coroutine

    address = pay.key(5).rpartition(":")[2]
    door.abandon(address)
    asyncio.run(begin()).close()
    wait_until(lambda: Situation.ABANDONED is classify(*drive(door.memory.peek(address))))


# ---------------------------------------------------------------------------- identity


def test_key_names_make_the_others_a_fingerprint(door: Door) -> None:
    """A key that comes again with other arguments is refused."""
    pay = door.guard(Body().pay, key=["amount"])
    door.run(pay(5, "milk"))
    with pytest.raises(KeyReusedError):
        door.run(pay(5, "bread"))


def test_key_callable_says_all(door: Door) -> None:
    """What a key callable leaves out does not matter."""
    pay = door.guard(Body().pay, key=lambda amount, note="": amount % 10)
    assert door.run(pay(5)) == door.run(pay(15, "bread"))


def test_fingerprint_names_must_match(door: Door) -> None:
    """What a fingerprint names is in no key, but must be the same again."""
    pay = door.guard(Body().pay, fingerprint=["note"])
    door.run(pay(5, "milk"))
    with pytest.raises(KeyReusedError):
        door.run(pay(5, "bread"))


def test_ignored_arguments_do_not_matter(door: Door) -> None:
    """What is ignored is neither key nor fingerprint."""
    pay = door.guard(Body().pay, ignore=["note"])
    assert door.run(pay(5, "milk")) == door.run(pay(5, "bread"))


def test_new_version_starts_afresh(door: Door) -> None:
    """Outcomes of another version are not replayed."""
    body = Body()
    door.run(door.guard(body.pay, version=1)(5))
    assert [5, "", 2] == door.run(door.guard(body.pay, version=2)(5))


def test_shared_name_shares_outcomes(door: Door) -> None:
    """Two functions of one explicit name are two faces of one operation."""
    body = Body()
    assert door.run(door.guard(body.pay)(5)) == door.run(door.guard(body.pay)(5))


def test_window_starts_anew(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same call in another window is a new one, in the same window it is not."""
    now = [1_000.0]
    monkeypatch.setattr("idemkit.guards.time", SimpleNamespace(time=lambda: now[0]))
    pay = door.guard(Body().pay, window=timedelta(seconds=100))
    runs = []
    for now[0] in (1_000.0, 1_099.9, 1_100.0):
        runs.append(door.run(pay(5))[2])
    assert [1, 1, 2] == runs


def test_key_is_never_the_arguments(door: Door) -> None:
    """A key's text is name, version and digest."""
    name, _, digest = door.guard(Body().pay, version="b").key("secret").rpartition(":")
    assert ("shop.pay@b", 32) == (name, len(bytes.fromhex(digest)) * 2)


# ---------------------------------------------------------------------------- ttl


@pytest.mark.parametrize("ttl", [60, timedelta(minutes=1), lambda call: 60.0])
def test_ttl_ends(door: Door, ttl: Any) -> None:
    """An outcome is replayed for as long as its ttl says, and no longer."""
    pay = door.guard(Body().pay, ttl=ttl)
    runs = [door.run(pay(5))[2]]
    for seconds in (59, 2):
        door.clock.advance(seconds)
        runs.append(door.run(pay(5))[2])
    assert [1, 1, 2] == runs


def test_ttl_callable_gets_the_call(door: Door) -> None:
    """A ttl can depend on what is asked."""
    asked: list[str] = []
    pay = door.guard(Body().pay, ttl=lambda call: asked.append(call.key) or 60)
    door.run(pay(5))
    assert [pay.key(5)] == asked


def test_failing_ttl_costs_nothing(door: Door) -> None:
    """A ttl that cannot be told is found out before the body runs."""
    body = Body()
    pay = door.guard(body.pay, ttl=failing(LookupError()))
    with pytest.raises(LookupError):
        door.run(pay(5))
    assert 0 == body.runs


# ---------------------------------------------------------------------------- duplicates


def test_rejected_duplicate_hears_at_once(door: Door) -> None:
    """A duplicate that will not wait is refused while the first call runs."""
    pay = door.guard(Body().pay, on_duplicate="reject")
    door.abandon(pay.key(5))
    door.clock.advance(-1.5)
    with pytest.raises(InProgressError):
        door.run(pay(5))


def test_patience_ends(door: Door) -> None:
    """A duplicate waits as long as it is told."""
    pay = door.guard(Body().pay, wait=0.02)
    door.abandon(pay.key(5))
    door.clock.advance(-1.5)
    with pytest.raises(InProgressError):
        door.run(pay(5))


def test_concurrent_threads_share_one_run() -> None:
    """Duplicates in other threads get the outcome of the one that runs."""
    asking: list[int] = []

    @Idempotency().idempotent
    def pay(amount: int) -> int:
        wait_until(lambda: len(asking) == 4)
        return amount

    def call(number: int) -> str:
        asking.append(number)
        return pay.outcome(5).kind

    with ThreadPoolExecutor(4) as threads:
        assert 1 == list(threads.map(call, range(4))).count("executed")


# ---------------------------------------------------------------------------- abandoned


def test_abandoned_attempt_is_retried(door: Door) -> None:
    """By default the next caller takes over, and says so."""
    pay = door.guard(Body().pay)
    door.abandon(pay.key(5))
    assert ([5, "", 1], "recovered") == seen(door.run(pay.outcome(5)))


def test_abandoned_attempt_raises(door: Door) -> None:
    """Who must not run twice learns that nobody knows."""
    pay = door.guard(Body().pay, on_abandoned="raise")
    door.abandon(pay.key(5))
    with pytest.raises(InDoubtError):
        door.run(pay(5))


def test_reconciled_value_is_recorded(door: Door) -> None:
    """A hook that knows the value settles the call without a run."""
    body = Body()
    pay = door.guard(body.pay, on_abandoned=lambda call: Done(["found"]))
    door.abandon(pay.key(5))
    first, second = door.run(pay.outcome(5)), door.run(pay.outcome(5))
    assert ((["found"], "recovered"), (["found"], "replayed"), 0) == (
        seen(first),
        seen(second),
        body.runs,
    )


def test_reconciled_as_not_done_runs(door: Door) -> None:
    """A hook that knows that nothing happened lets the body run."""
    pay = door.guard(Body().pay, on_abandoned=lambda call: NotDone)
    door.abandon(pay.key(5))
    assert ([5, "", 1], "recovered") == seen(door.run(pay.outcome(5)))


@pytest.mark.parametrize(
    ("hook", "error"),
    [
        (lambda call: Unknown, InDoubtError),
        (lambda call: "garbage", TypeError),
        (failing(LookupError()), LookupError),
        (failing(KeyboardInterrupt()), KeyboardInterrupt),
    ],
)
def test_unreconciled_call_stays_in_doubt(
    door: Door, hook: Callable[..., Any], error: type[BaseException]
) -> None:
    """A hook that cannot tell leaves the question to the next caller."""
    asked: list[object] = []
    pay = door.guard(Body().pay, on_abandoned=lambda call: asked.append(call) or hook(call))
    door.abandon(pay.key(5))
    for _ in range(2):
        with pytest.raises(error):
            door.run(pay(5))
    assert 2 == len(asked)


def test_hook_is_not_asked_about_failures(door: Door) -> None:
    """An attempt that raised has not vanished."""
    pay = door.guard(Body(LookupError()).pay, on_abandoned=failing(AssertionError()))
    with pytest.raises(LookupError):
        door.run(pay(5))
    assert "executed" == door.run(pay.outcome(5)).kind


def test_hooks_may_be_coroutine_functions() -> None:
    """Around a coroutine function, a hook, a fallback and an effect are awaited."""
    with asyncio.Runner() as runner:
        door = Door(runner)
        told: list[object] = []

        async def hook(call: object) -> object:
            await asyncio.sleep(0)
            told.append(call)
            return NotDone

        async def fallback(error: Exception, amount: int) -> str:
            await asyncio.sleep(0)
            return f"{error} {amount}"

        async def effect(value: object) -> None:
            raise LookupError(await asyncio.sleep(0, value))

        pay = door.guard(
            lambda amount: "paid", on_abandoned=hook, fallback=fallback, effects=[effect]
        )
        door.abandon(pay.key(5))
        assert ("paid 5", 1) == (door.run(pay(5)), len(told))


# ---------------------------------------------------------------------------- what is kept


def test_record_keeps_what_it_says(door: Door) -> None:
    """A result that is not to be kept is handed out, and the next call runs."""
    pay = door.guard(Body().pay, record=lambda result: result[2] > 1)
    kept = [door.run(pay.outcome(5)) for _ in range(3)]
    assert [([5, "", 1], "executed"), ([5, "", 2], "executed"), ([5, "", 2], "replayed")] == [
        seen(outcome) for outcome in kept
    ]


def test_unkept_outcome_says_so(door: Door) -> None:
    """What is not kept has no expiry."""
    outcome = door.run(door.guard(Body().pay, record=lambda result: False).outcome(5))
    assert (False, None) == (outcome.recorded, outcome.expires_at)


def test_recorded_error_is_raised_again(door: Door) -> None:
    """An exception that is an outcome is not tried again."""
    body = Body(LookupError("no such account"))
    pay = door.guard(body.pay, record_errors=[LookupError])
    for _ in range(2):
        with pytest.raises(LookupError, match="no such account"):
            door.run(pay(5))
    assert 1 == body.runs


def test_other_errors_are_not_recorded(door: Door) -> None:
    """Only what is named is an outcome."""
    pay = door.guard(Body(ValueError()).pay, record_errors=[LookupError])
    with pytest.raises(ValueError, match=r"^$"):
        door.run(pay(5))
    assert [5, "", 2] == door.run(pay(5))


def test_large_result_is_handed_out_once(door: Door) -> None:
    """A result beyond `max_bytes` reaches its caller, and later ones learn that it ran."""
    pay = door.guard(Body().pay, max_bytes=10)
    assert "x" * 100 == door.run(pay("x" * 100))[0]
    with pytest.raises(ResultUnavailableError):
        door.run(pay("x" * 100))


def test_unserializable_result_is_refused_loudly(door: Door) -> None:
    """A result that cannot be recorded is an error at once, and its body does not run again."""
    body = Body()
    pay = door.guard(lambda amount: body.pay(amount) and object())
    with pytest.raises(ResultNotSerializableError):
        door.run(pay(5))
    with pytest.raises(ResultUnavailableError):
        door.run(pay(5))
    assert 1 == body.runs


class Shouting:
    """A codec of one's own."""

    name = "shouting"

    def encode(self, value: Any) -> bytes:
        """Return bytes."""
        return str(value).upper().encode()

    def decode(self, body: bytes) -> Any:
        """Return what can be had."""
        return body.decode()


class Silent(Shouting):
    """One that loses what it records."""

    def decode(self, body: bytes) -> Any:
        """Fail."""
        raise LookupError(body)


def test_codec_of_an_operation(door: Door) -> None:
    """An operation's own codec makes the bytes and reads them."""
    pay = door.guard(lambda amount: "paid", codec=Shouting())
    assert ["paid", "PAID"] == [door.run(pay(5)), door.run(pay(5))]


def test_codec_of_a_configuration() -> None:
    """A configuration's codec serves every operation that names none."""
    idem = Idempotency(codec=Shouting())
    pay = idem.idempotent(lambda amount: "paid")
    assert ["paid", "PAID"] == [pay(5), pay(5)]


def test_codec_that_cannot_read_is_told(door: Door) -> None:
    """Bytes that cannot be read are an error, not another run."""
    pay = door.guard(lambda amount: "paid", codec=Silent())
    door.run(pay(5))
    with pytest.raises(ResultUnreadableError):
        door.run(pay(5))


# ---------------------------------------------------------------------------- fallbacks


def test_fallback_answers_for_the_body(door: Door) -> None:
    """A modest answer stands in for a failing body, and is not recorded."""
    pay = door.guard(
        Body(LookupError("none")).pay, fallback=lambda error, amount, note="": f"{error} {amount}"
    )
    outcomes = [door.run(pay.outcome(5)) for _ in range(2)]
    assert [("none 5", "fallback"), ([5, "", 2], "executed")] == [seen(got) for got in outcomes]


def test_fallback_answers_for_the_store(door: Door) -> None:
    """A modest answer stands in where the store does not answer, and the body does not run."""
    body = Body()
    pay = door.guard(body.pay, fallback=lambda error, amount: type(error).__name__)
    door.store.suffer("claim", *[request_lost] * 20)
    outcome = door.run(pay.outcome(5))
    assert (("StoreUnavailableError", "fallback"), 0, 0) == (
        seen(outcome),
        outcome.attempt,
        body.runs,
    )


def test_store_failure_without_fallback_raises(door: Door) -> None:
    """Nobody runs unprotected by accident."""
    pay = door.guard(Body().pay)
    door.store.suffer("claim", *[request_lost] * 20)
    with pytest.raises(StoreUnavailableError):
        door.run(pay(5))


def test_store_failure_may_run_unprotected(door: Door) -> None:
    """Who says so runs without a store."""
    pay = door.guard(Body().pay, on_store_error="run")
    door.store.suffer("claim", *[request_lost] * 20)
    assert ([5, "", 1], "unprotected") == seen(door.run(pay.outcome(5)))


def test_fallback_does_not_hide_recorded_errors(door: Door) -> None:
    """An outcome is no failure that a modest answer could stand in for."""
    pay = door.guard(
        Body(LookupError()).pay, record_errors=[LookupError], fallback=failing(AssertionError())
    )
    with pytest.raises(LookupError):
        door.run(pay(5))


def test_fallback_does_not_hide_interrupts(door: Door) -> None:
    """Who is told to stop stops."""
    pay = door.guard(Body(KeyboardInterrupt()).pay, fallback=failing(AssertionError()))
    with pytest.raises(KeyboardInterrupt):
        door.run(pay(5))


def test_stale_outcome_stands_in(door: Door) -> None:
    """For a while after its expiry an outcome stands in for a failing body."""
    body = Body()
    pay = door.guard(body.pay, ttl=60, stale_if_error=timedelta(hours=1))
    door.run(pay(5))
    door.clock.advance(61)
    body.failures.append(LookupError())
    assert ([5, "", 1], "fallback") == seen(door.run(pay.outcome(5)))


def test_stale_outcome_goes_too(door: Door) -> None:
    """After that while the failure shows."""
    body = Body()
    pay = door.guard(body.pay, ttl=60, stale_if_error=30)
    door.run(pay(5))
    door.clock.advance(91)
    body.failures.append(LookupError())
    with pytest.raises(LookupError):
        door.run(pay(5))


def test_body_outlives_its_limit() -> None:
    """A coroutine that runs longer than `max_run` is cancelled."""
    with asyncio.Runner() as runner:
        door = Door(runner)

        @door.idempotency.idempotent(max_run=0.01)
        async def pay(_amount: int) -> None:
            await asyncio.sleep(60)

        with pytest.raises(MaxRunExceededError):
            door.run(pay(5))


# ---------------------------------------------------------------------------- effects


def test_effects_happen_once(door: Door) -> None:
    """Effects get the result, in order, for the execution only."""
    told: list[object] = []
    effects = [lambda result: told.append(result[0]), lambda result: told.append(result[2])]
    pay = door.guard(Body().pay, effects=effects)
    for _ in range(3):
        door.run(pay(5))
    assert [5, 1] == told


def test_error_of_an_effect_is_no_outcome(door: Door) -> None:
    """Errors that are outcomes are those of the body; an effect's are never recorded."""

    def mail(_: object) -> None:
        message = "no mail today"
        raise ValueError(message)

    pay = door.guard(Body().pay, effects=[mail], record_errors=[ValueError])
    for _ in range(2):
        with pytest.raises(ValueError, match="no mail today"):
            door.run(pay(1))
    assert None is door.run(pay.peek(1))


def test_hooks_see_the_arguments(door: Door) -> None:
    """A callable ttl may look at the arguments of the call."""
    seen: list[Call] = []

    def ttl(call: Call) -> float:
        seen.append(call)
        return 60

    door.run(door.guard(Body().pay, ttl=ttl)(1, note="thanks"))
    assert [((1,), {"note": "thanks"})] == [(call.args, call.kwargs) for call in seen]


def test_error_of_idemkit_carries_the_key(door: Door) -> None:
    """Whoever handles an error can look its call up."""
    pay = door.guard(Body().pay)
    door.store.suffer("claim", raising(StoreUnavailableError("gone")))
    with pytest.raises(StoreUnavailableError) as caught:
        door.run(pay(1))
    assert pay.key(1) == caught.value.key


def test_failing_effect_fails_the_call(door: Door) -> None:
    """A call whose effect failed is not done, and runs again."""
    errors = [LookupError("no mail")]

    def mail(_result: object) -> None:
        if errors:
            raise errors.pop()

    pay = door.guard(Body().pay, effects=[mail])
    with pytest.raises(LookupError, match="no mail"):
        door.run(pay(5))
    assert ([5, "", 2], "executed") == seen(door.run(pay.outcome(5)))


# ---------------------------------------------------------------------------- words


def test_outcome_says_how_it_came_about(door: Door) -> None:
    """An execution's outcome has its key, its attempt and its times."""
    pay = door.guard(Body().pay, ttl=60)
    before = datetime.now(UTC)
    outcome = door.run(pay.outcome(5))
    assert (
        Outcome(
            value=[5, "", 1],
            kind="executed",
            key=pay.key(5),
            attempt=1,
            recorded=True,
            created_at=outcome.created_at,
            expires_at=outcome.created_at + timedelta(seconds=60),
            origin=None,
            error=None,
        )
        == outcome
    )
    assert before <= outcome.created_at <= datetime.now(UTC)


def test_replayed_outcome_has_the_stores_times(door: Door) -> None:
    """A replay tells when the outcome was recorded, not when it was handed out."""
    pay = door.guard(Body().pay, ttl=60)
    completed = datetime.fromtimestamp(door.clock(), UTC)
    door.run(pay(5))
    door.clock.advance(10)
    replayed = door.run(pay.outcome(5))
    assert (completed, completed + timedelta(seconds=60)) == (
        replayed.created_at,
        replayed.expires_at,
    )


def test_peek_runs_nothing(door: Door) -> None:
    """Nothing recorded is None."""
    body = Body()
    assert (None, 0) == (door.run(door.guard(body.pay).peek(5)), body.runs)


def test_peek_finds_what_is_recorded(door: Door) -> None:
    """What is recorded is found with its value."""
    pay = door.guard(Body().pay)
    door.run(pay(5))
    assert ([5, "", 1], "replayed") == seen(door.run(pay.peek(5)))


def test_peek_finds_recorded_errors(door: Door) -> None:
    """A recorded failure is a value to look at, not raised."""
    pay = door.guard(Body(LookupError("none")).pay, record_errors=[LookupError])
    with pytest.raises(LookupError):
        door.run(pay(5))
    outcome = door.run(pay.peek(5))
    assert ((None, "failed"), "LookupError('none')") == (seen(outcome), repr(outcome.error))


def test_peek_refuses_another_payload(door: Door) -> None:
    """A key that came with another payload is refused here too."""
    pay = door.guard(Body().pay, key=["amount"])
    door.run(pay(5, "milk"))
    with pytest.raises(KeyReusedError):
        door.run(pay.peek(5, "bread"))


def test_forget_frees_the_key(door: Door) -> None:
    """After `forget` the next call runs; there was something to forget only once."""
    pay = door.guard(Body().pay)
    door.run(pay(5))
    forgotten = [door.run(pay.forget(5)), door.run(pay.forget(5))]
    assert ([True, False], [5, "", 2]) == (forgotten, door.run(pay(5)))


# ---------------------------------------------------------------------------- the caller's world


def test_body_runs_in_the_callers_context(door: Door) -> None:
    """A body sees the context variables of whoever calls it."""
    tenant = door.guard(lambda: TENANT.get())  # noqa: PLW0108 - a built-in says no parameters
    token = TENANT.set("acme")
    try:
        assert "acme" == door.run(tenant())
    finally:
        TENANT.reset(token)


def test_body_changes_the_callers_context() -> None:
    """What a synchronous body sets stays set, as without the decorator."""
    token = TENANT.set("acme")
    try:
        Door(None).guard(lambda: TENANT.set("other") and None)()
        assert "other" == TENANT.get()
    finally:
        TENANT.reset(token)


def test_body_runs_in_the_callers_thread(door: Door) -> None:
    """Nobody is moved to another thread."""
    own = door.guard(lambda: threading.get_ident())  # noqa: PLW0108 - likewise
    assert threading.get_ident() == door.run(own())


# ---------------------------------------------------------------------------- attributes


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """Configure OpenTelemetry's SDK with an exporter in memory."""
    exporter, tracers = InMemorySpanExporter(), TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", tracers)
    for nothing in ("_signals", "_found"):
        monkeypatch.setattr(discovery, nothing, None)
    for unknown in ("_trace", "_tracers", "_metrics", "_meters"):
        monkeypatch.setattr(discovery, unknown, {})
    yield exporter
    tracers.shutdown()


def test_attributes_are_added_to_spans(door: Door, spans: InMemorySpanExporter) -> None:
    """What the hook says of a call's arguments groups its signals."""
    pay = door.guard(Body().pay, attributes=lambda amount, note="": {"shop.amount": amount})
    door.run(pay(5))
    assert [5] == [(span.attributes or {})["shop.amount"] for span in spans.get_finished_spans()]


def test_attributes_cost_nothing_unheard(door: Door) -> None:
    """While nobody listens the hook is not called."""
    pay = door.guard(Body().pay, attributes=failing(AssertionError()))
    assert [5, "", 1] == door.run(pay(5))
