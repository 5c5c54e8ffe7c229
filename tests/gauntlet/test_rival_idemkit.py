"""What breaks in the other `idemkit` 1.0.2 when it guards functions, and does not break here."""

import asyncio
import contextvars
import gc
import itertools
import sys
import threading
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from idemkit import Idempotency, InProgressError
from idemkit.stores.memory import MemoryStore
from idemkit.testing import FakeClock
from idemkit.testing.faults import request_lost
from tests.gauntlet.crowds import DEADLINE, Caller, Pause, at_once
from tests.gauntlet.moments import beaten
from tests.gauntlet.scene import Scene, this_attempt

if TYPE_CHECKING:
    from idemkit.surfaces import Idempotent

CROWD = 64


def test_nested_sync_calls_do_not_deadlock(idem: Idempotency) -> None:
    """64 threads at once finish a sync call around an async call around a sync call."""
    everybody_is_inside = threading.Barrier(CROWD)

    @idem.idempotent
    def innermost(number: int) -> int:
        return number

    @idem.idempotent
    async def middle(number: int) -> int:
        return innermost(number) + 1

    @idem.idempotent
    def outermost(number: int) -> int:
        everybody_is_inside.wait(DEADLINE)
        return asyncio.run(middle(number)) + 1

    assert [number + 2 for number in range(CROWD)] == at_once(CROWD, outermost)


async def test_nested_async_calls_do_not_deadlock(idem: Idempotency) -> None:
    """64 tasks at once finish an async call around a sync call around an async call."""
    everybody_is_inside = asyncio.Barrier(CROWD)

    @idem.idempotent
    async def innermost(number: int) -> int:
        return number

    @idem.idempotent
    def middle(number: int) -> int:
        return asyncio.run(innermost(number)) + 1

    @idem.idempotent
    async def outermost(number: int) -> int:
        await everybody_is_inside.wait()
        return await asyncio.to_thread(middle, number) + 1

    async with asyncio.timeout(DEADLINE):
        values = await asyncio.gather(*(outermost(number) for number in range(CROWD)))
    assert [number + 2 for number in range(CROWD)] == values


def test_methods_of_one_name_do_not_share_results(idem: Idempotency) -> None:
    """`Card.charge` and `Cash.charge` are two operations."""

    @dataclass(frozen=True)
    class Card:
        @idem.idempotent
        def charge(self, amount: int) -> str:
            return f"card {amount}"

    @dataclass(frozen=True)
    class Cash:
        @idem.idempotent
        def charge(self, amount: int) -> str:
            return f"cash {amount}"

    assert ("card 5", "cash 5") == (Card().charge(5), Cash().charge(5))


def test_functions_of_one_name_do_not_share_results(idem: Idempotency) -> None:
    """Two functions called `charge`, made in two places, are two operations."""

    def by_card() -> Callable[[int], str]:
        @idem.idempotent
        def charge(amount: int) -> str:
            return f"card {amount}"

        return charge

    def by_cash() -> Callable[[int], str]:
        @idem.idempotent
        def charge(amount: int) -> str:
            return f"cash {amount}"

        return charge

    assert ("card 5", "cash 5") == (by_card()(5), by_cash()(5))


def test_body_longer_than_its_lease_runs_once(scene: Scene, clock: FakeClock) -> None:
    """Beats keep a claim for three leases; a duplicate elsewhere never gets to run."""
    store, pause, runs = scene.faulty(), Pause(), []

    def work(number: int) -> int:
        runs.append(number)
        pause.here()
        return number

    here = scene.application(store).idempotent(lease=1)(work)
    elsewhere = scene.application().idempotent(lease=1, on_duplicate="reject")(work)
    caller = Caller(lambda: here(7))
    pause.reached()
    for _ in range(4):
        clock.advance(0.8)
        beaten(store)
        with pytest.raises(InProgressError):
            elsewhere(7)
    pause.end()
    assert (7, [7]) == (caller.result(), runs)


def test_one_failed_beat_does_not_cancel_a_healthy_coroutine(scene: Scene) -> None:
    """A coroutine whose first beat fails goes on to its end, and is recorded."""
    store = scene.faulty()
    store.suffer("beat", request_lost)

    @scene.application(store).idempotent(lease=1)
    async def work() -> str:
        await asyncio.to_thread(store.until, "beat", 2, ended=True)
        return "done"

    outcome = asyncio.run(work.outcome())
    assert ("done", True, 1) == (outcome.value, outcome.recorded, outcome.attempt)


def test_one_failed_beat_does_not_disturb_a_healthy_function(scene: Scene) -> None:
    """A function whose first beat fails goes on to its end, and is recorded."""
    store = scene.faulty()
    store.suffer("beat", request_lost)

    @scene.application(store).idempotent(lease=1)
    def work() -> str:
        store.until("beat", 2, ended=True)
        return "done"

    outcome = work.outcome()
    assert ("done", True, 1) == (outcome.value, outcome.recorded, outcome.attempt)


def test_cancelled_call_gives_its_claim_back(scene: Scene) -> None:
    """After a cancellation the next caller runs at once, with the store's clock at rest."""
    idem = scene.application(on_duplicate="reject")
    attempts = []

    async def cancel_then_call_again() -> str:
        started, never = asyncio.Event(), asyncio.Event()

        @idem.idempotent
        async def work() -> str:
            attempts.append(this_attempt())
            if len(attempts) == 1:
                started.set()
                await never.wait()
            return "done"

        first = asyncio.create_task(work())
        await started.wait()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        return await work()

    assert ("done", [1, 2]) == (asyncio.run(cancel_then_call_again()), attempts)


def test_waiter_runs_when_the_leader_fails(scene: Scene) -> None:
    """A duplicate that waited for a call which then failed runs itself, and is not refused."""
    store, pause = scene.faulty(), Pause()

    def work() -> int:
        attempt = this_attempt()
        if attempt == 1:
            pause.here()
            raise ConnectionError("the provider is down")
        return attempt

    leader = Caller(scene.application().idempotent(work))
    pause.reached()
    waiter = Caller(scene.application(store).idempotent(work))
    store.until("watch", ended=True)
    pause.end()
    with pytest.raises(ConnectionError):
        leader.result()
    assert 2 == waiter.result()


async def test_local_waiter_runs_when_the_leader_fails(idem: Idempotency) -> None:
    """So does one who waited in the same process."""
    waiting = asyncio.Event()

    @idem.idempotent
    async def work() -> int:
        attempt = this_attempt()
        if attempt == 1:
            await waiting.wait()
            raise ConnectionError("the provider is down")
        return attempt

    leader, waiter = asyncio.create_task(work()), asyncio.create_task(work())
    await asyncio.sleep(0)  # both have begun
    waiting.set()
    async with asyncio.timeout(DEADLINE):
        came = await asyncio.gather(leader, waiter, return_exceptions=True)
    assert [ConnectionError, int] == sorted(map(type, came), key=lambda kind: kind.__name__)


def test_sync_body_runs_in_the_callers_thread(idem: Idempotency) -> None:
    """A body finds the thread-locals of its caller."""
    session = threading.local()
    session.user = "alice"

    @idem.idempotent
    def work() -> str:
        return str(session.user)

    assert "alice" == work()


def test_sync_body_runs_in_the_callers_context(idem: Idempotency) -> None:
    """What a body sets in its context is set for its caller."""
    tenant = contextvars.ContextVar("tenant", default="nobody")

    @idem.idempotent
    def work() -> None:
        tenant.set("acme")

    work()
    assert "acme" == tenant.get()


def test_refused_self_says_how_to_go_on(idem: Idempotency) -> None:
    """An instance with some state is refused with all the ways to go on; one without is not."""

    class Assistant:
        def __init__(self, prompt: str) -> None:
            self.prompt = prompt

        @idem.idempotent
        def answer(self, question: str) -> str:
            return f"{question} because"

    ways = r"__idempotency_key__\(\).*a dataclass.*ignore=\['self'\]"
    assistant = Assistant("be brief")
    with pytest.raises(TypeError, match=ways):
        assistant.answer("why?")
    del assistant.prompt
    assert "why? because" == assistant.answer("why?")


def test_method_of_a_dataclass_needs_no_more(idem: Idempotency) -> None:
    """The fields of a dataclass tell its instances: two prompts have two answers, each once."""
    runs = []

    @dataclass
    class Assistant:
        prompt: str
        options: dict[str, int] = field(default_factory=dict)

        @idem.idempotent
        def answer(self, question: str) -> str:
            runs.append(self.prompt)
            return f"{self.prompt}: {question}"

    prompts = ["brief", "long", "brief"]
    answers = [Assistant(prompt).answer("why?") for prompt in prompts]
    assert (["brief: why?", "long: why?", "brief: why?"], ["brief", "long"]) == (answers, runs)


def test_method_works_with_self_ignored(idem: Idempotency) -> None:
    """The way the refusal offers works: `ignore=["self"]` makes one call of all instances."""

    class Assistant:
        def __init__(self, client: object) -> None:
            self.client = client

        @idem.idempotent(ignore=["self"])
        def answer(self, question: str) -> str:
            return f"{question} {id(self.client)}"

    first = Assistant(object()).answer("why?")
    assert first == Assistant(object()).answer("why?")


Guarded: TypeAlias = "Idempotent[[int], int]"
FewAndMany: TypeAlias = tuple[Guarded, Guarded]


def echo(number: int) -> int:
    """Return what was given."""
    return number


@pytest.fixture(scope="module")
def few_and_many() -> FewAndMany:
    """Return a guarded function over 200 records, and one over 2 000."""
    return filled(200), filled(2_000)


def filled(records: int) -> Guarded:
    """Return a guarded function that knows so many calls."""
    guarded = Idempotency(MemoryStore()).idempotent(echo)
    for number in range(records):
        guarded(number)
    return guarded


def steps(call: Callable[[], Any]) -> int:
    """Count the calls of Python and C functions that a call makes in this thread."""
    events = []
    gc.disable()  # finalizers would count
    sys.setprofile(lambda _frame, event, _argument: events.append(event))
    try:
        call()
    finally:
        sys.setprofile(None)
        gc.enable()
    return sum(event in {"call", "c_call"} for event in events)


def memory(call: Callable[[], Any]) -> int:
    """Return the bytes that a call needs at its peak."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


unseen = itertools.count(-1, -1)


@pytest.mark.parametrize("cost", [steps, memory])
def test_memory_store_replays_no_slower_from_more_records(
    few_and_many: FewAndMany,
    cost: Callable[[Callable[[], Any]], int],
) -> None:
    """A replay among ten times as many records costs neither more steps nor more memory."""
    few, many = (cost(lambda guarded=guarded: guarded(1)) for guarded in few_and_many)
    assert many <= 1.2 * few, (few, many)


@pytest.mark.parametrize("cost", [steps, memory])
def test_memory_store_records_no_slower_among_more_records(
    few_and_many: FewAndMany,
    cost: Callable[[Callable[[], Any]], int],
) -> None:
    """A first call among ten times as many records costs neither more steps nor more memory."""
    number = next(unseen)
    few, many = (cost(lambda guarded=guarded: guarded(number)) for guarded in few_and_many)
    assert many <= 1.2 * few, (few, many)


def test_memory_store_does_not_stop_at_10_000() -> None:
    """The first of 10 001 calls is still known after the last."""
    guarded = filled(10_001)
    assert ["replayed"] * 2 == [guarded.outcome(number).kind for number in (0, 10_000)]


def test_memory_store_does_not_stop_at_10_000_running() -> None:
    """10 001 calls can be under way at once."""
    idem = Idempotency(MemoryStore())

    async def run_all() -> int:
        everybody_is_inside = asyncio.Barrier(10_001)

        @idem.idempotent
        async def work(number: int) -> int:
            await everybody_is_inside.wait()
            return number

        async with asyncio.timeout(2 * DEADLINE):
            return sum(await asyncio.gather(*(work(number) for number in range(10_001))))

    assert sum(range(10_001)) == asyncio.run(run_all())
