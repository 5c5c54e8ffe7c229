"""Many steps at once, in tasks and threads, and steps of one colour inside calls of the other."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path

import pytest

from idemkit import Idempotency, step
from idemkit.stores import MemoryStore
from idemkit.stores.sqlite import SQLiteStore
from idemkit.testing import FaultyStore
from idemkit.testing.faults import reply_lost
from tests.stand_ins import reached, suspended_until
from tests.steps.scripts import Deeds

WORDS = ["ada", "bob", "eve"]


@pytest.fixture(params=["memory", "sqlite"])
def idem(request: pytest.FixtureRequest, tmp_path: Path) -> Idempotency:
    """Return an `Idempotency` on a store of each kind."""
    if request.param == "memory":
        return Idempotency("memory://")
    return Idempotency(SQLiteStore(tmp_path / "steps.db"))


def test_steps_in_threads_are_all_written(idem: Idempotency) -> None:
    """Threads that work for a call share its journal."""
    deeds = Deeds(mail=[ConnectionError()])

    @idem.idempotent
    def send() -> list[str]:
        with ThreadPoolExecutor(3) as pool:
            taken = [
                pool.submit(copy_context().run, step, "mail", deeds.do, word, key=word)
                for word in WORDS
            ]
        results = [future.result() for future in taken]
        step("mail", deeds.do, "mail")
        return results

    with pytest.raises(ConnectionError):
        send()
    assert ["ada 1", "bob 1", "eve 1"] == send()
    idem.close()


async def test_steps_in_tasks_are_all_written(idem: Idempotency) -> None:
    """Tasks that are gathered are counted in the order in which they were begun."""
    deeds = Deeds(mail=[ConnectionError()])
    order = list(WORDS)

    async def mail(word: str) -> str:
        while order[-1] != word:  # noqa: ASYNC110 - the last that began ends first
            await asyncio.sleep(0)
        order.pop()
        return deeds.do(word)

    async def last() -> None:
        deeds.do("mail")

    @idem.idempotent
    async def send() -> list[str]:
        results = await asyncio.gather(*[step("mail", mail, word) for word in WORDS])
        await step("last", last)
        return results

    with pytest.raises(ConnectionError):
        await send()
    assert ["ada 1", "bob 1", "eve 1"] == await send()
    await idem.aclose()


async def test_synchronous_step_inside_a_coroutine(idem: Idempotency) -> None:
    """It blocks, as what it does does, and is written down like any other."""
    deeds = Deeds(mail=[ConnectionError()])

    @idem.idempotent
    async def pay() -> str:
        charged = step("charge", deeds.do, "charge")
        step("mail", deeds.do, "mail")
        return charged

    with pytest.raises(ConnectionError):
        await pay()
    assert ("charge 1", 1) == (await pay(), deeds.done.count("charge"))
    await idem.aclose()


def test_synchronous_step_needs_a_store_that_serves_it() -> None:
    """Where only event loops are served, a synchronous step is refused with the way out."""

    @Idempotency(FaultyStore(MemoryStore(), "async")).idempotent
    async def pay() -> int:
        return step("charge", len, "abc")

    with pytest.raises(TypeError, match="must be a coroutine function too"):
        asyncio.run(pay())


def test_coroutine_of_a_lambda_is_refused() -> None:
    """What comes to be awaited later could not be written down."""

    @Idempotency("memory://").idempotent
    async def pay() -> None:
        await step("charge", lambda: asyncio.sleep(0))

    with pytest.raises(TypeError, match=r"step\(name, fetch, url\)"):
        asyncio.run(pay())


def test_awaitable_that_is_no_coroutine_is_refused() -> None:
    """A future is not a result either."""

    @Idempotency("memory://").idempotent
    async def pay() -> None:
        step("charge", asyncio.get_running_loop().create_future)

    with pytest.raises(TypeError, match="something to await"):
        asyncio.run(pay())


def test_object_with_a_coroutine_call_is_awaited() -> None:
    """What is called like a coroutine function is one."""

    class Embed:
        async def __call__(self, text: str) -> int:
            return len(text)

    @Idempotency("memory://").idempotent
    async def answer() -> int:
        vector: int = await step("embed", Embed(), "abc")
        return vector

    assert 3 == asyncio.run(answer())


def test_steps_outside_simply_run() -> None:
    """Outside any guarded call there is nothing to write in."""
    deeds = Deeds()

    async def mail() -> str:
        return deeds.do("mail")

    plain = [step("mail", deeds.do, "mail", delivery="at_most_once") for _ in range(2)]
    assert (["mail 1", "mail 2"], "mail 3") == (plain, asyncio.run(step("mail", mail)))


def test_unprotected_call_takes_its_steps() -> None:
    """Where no store answers, nothing is written, and everything is done."""
    store = FaultyStore(MemoryStore(), "sync")
    store.suffer("claim", *[reply_lost] * 20)
    pay = Idempotency(store, on_store_error="run").idempotent(lambda: step("charge", len, "abc"))
    assert (3, 0) == (pay(), store.sent.count("step"))


async def test_result_is_written_although_its_caller_is_stopped() -> None:
    """A cancelled caller's last step is done, and the next attempt knows."""
    store, deeds, gate = FaultyStore(MemoryStore(), "async"), Deeds(), asyncio.Event()

    async def charge() -> str:
        return deeds.do("charge")

    @Idempotency(store).idempotent
    async def pay() -> str:
        return await step("charge", charge)

    store.suffer("step", suspended_until(gate))
    task = asyncio.create_task(pay())
    await reached(lambda: "step" in store.sent)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ("charge 1", 2) == (await pay(), store.sent.count("step"))


async def test_intent_is_not_insisted_on() -> None:
    """A caller that is stopped before its step leaves as little doubt as it can."""
    store, gate = FaultyStore(MemoryStore(), "async"), asyncio.Event()

    @Idempotency(store).idempotent
    async def pay() -> None:
        await step("nap", asyncio.sleep, 0, delivery="at_most_once")

    store.suffer("step", suspended_until(gate))
    task = asyncio.create_task(pay())
    await reached(lambda: "step" in store.sent)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert 1 == store.sent.count("step")


async def test_unfinished_step_may_be_closed_anywhere() -> None:
    """A coroutine that nobody finishes is closed in another context than it was begun in."""

    @Idempotency("memory://").idempotent
    async def pay() -> None:
        await step("wait", asyncio.sleep, 0)

    unfinished = pay()
    copy_context().run(unfinished.send, None)
    assert None is unfinished.close()
