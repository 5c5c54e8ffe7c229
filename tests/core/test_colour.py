"""Tests of `idemkit.core.colour`: one protocol, driven by threads and awaited by tasks."""

import asyncio
import gc
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from idemkit.core.colour import ASYNC, SYNC, LoopBell, ThreadBell, drive, limit, pair
from idemkit.core.doorbell import claim
from idemkit.errors import MaxRunExceededError, StoreUnavailableError
from idemkit.protocol import Acquired, Standing
from idemkit.stores import MemoryStore, Store
from idemkit.stores.base import Caller, Colour
from idemkit.testing import FaultyStore
from idemkit.testing.faults import Send, preceded_by, reply_lost
from tests import commands
from tests.commands import beat, completion, grant, release

GRANT = grant(commands.claim(), Acquired(1, 1, 0))


class ProbeError(Exception):
    """What a coroutine under test raises."""


async def answer(value: Any) -> Any:
    """Return without suspending."""
    return value


async def fail() -> None:
    """Raise without suspending."""
    raise ProbeError


class TwoFaced(FaultyStore):
    """A store with a face for each colour."""

    def __init__(self) -> None:
        super().__init__(MemoryStore(), "any")
        self.faces: dict[str, Store] = {
            colour: FaultyStore(MemoryStore(), colour) for colour in ("sync", "async")
        }

    def face(self, caller: Caller, /) -> Store:
        """Return the face for this colour."""
        return self.faces[caller]


# ------------------------------------------------------------------------------- drive


def test_drive_returns_what_never_suspends() -> None:
    """A thread runs a coroutine to its end without an event loop."""
    assert 3 == drive(answer(3))


def test_drive_lets_errors_through() -> None:
    """What the coroutine raises is what its driver gets."""
    with pytest.raises(ProbeError):
        drive(fail())


def test_drive_refuses_suspension() -> None:
    """A store that waits for an event loop under a thread is told that its colour is wrong."""
    with pytest.raises(RuntimeError, match="its colour must be 'async'"):
        drive(asyncio.sleep(0))


def test_drive_closes_what_suspended() -> None:
    """A refused coroutine still runs its clean-up."""
    closed = threading.Event()

    async def suspended() -> None:
        try:
            await asyncio.sleep(0)
        finally:
            closed.set()

    with pytest.raises(RuntimeError):
        drive(suspended())
    assert closed.is_set()


# -------------------------------------------------------------------------------- pair


@pytest.mark.parametrize(
    ("colour", "caller"),
    [("any", "sync"), ("any", "async"), ("sync", "sync"), ("async", "async")],
)
def test_pair_takes_a_fitting_store_as_it_is(colour: Colour, caller: Caller) -> None:
    """Nothing stands between a caller and a store of its own colour."""
    store = FaultyStore(MemoryStore(), colour)
    assert store is pair(store, caller)


@pytest.mark.parametrize("caller", ["sync", "async"])
def test_pair_takes_the_face_for_the_caller(caller: Caller) -> None:
    """A store that serves both shows each its own face."""
    store = TwoFaced()
    assert store.faces[caller] is pair(store, caller)


def test_pair_refuses_a_store_that_needs_a_loop() -> None:
    """A synchronous caller is told what to pass instead."""
    with pytest.raises(TypeError, match="pass a store made from a URL, which serves both"):
        pair(FaultyStore(MemoryStore(), "async"), "sync")


# ---------------------------------------------------------------------------- off-load


VERBS: list[tuple[str, tuple[Any, ...]]] = [
    ("open", ()),
    ("claim", ("a", commands.claim())),
    ("complete", ("a", completion(GRANT))),
    ("release", ("a", release(GRANT))),
    ("forget", ("a", 1000)),
    ("peek", ("a",)),
]


@pytest.mark.parametrize(("verb", "words"), [*VERBS, ("close", ())])
async def test_blocking_store_is_off_loaded(verb: str, words: tuple[Any, ...]) -> None:
    """Every verb of a blocking store runs in another thread than the event loop's."""
    store = FaultyStore(MemoryStore(), "sync")
    await getattr(pair(store, "async"), verb)(*words)
    assert threading.get_ident() != store.threads[verb]


class Hasty(FaultyStore):
    """A blocking store with a face that never waits."""

    def __init__(self) -> None:
        super().__init__(MemoryStore(), "sync")
        self.hasty = FaultyStore(MemoryStore(), "sync")

    @property
    def at_once(self) -> Store:
        """Return that face."""
        return self.hasty


async def busy(_send: Send) -> None:
    """Do nothing, for somebody else is at it."""
    raise BlockingIOError


@pytest.mark.parametrize(("verb", "words"), VERBS)
async def test_what_can_be_done_at_once_is_done_at_once(verb: str, words: tuple[Any, ...]) -> None:
    """No verb of such a store leaves the event loop's thread unless it must."""
    store = Hasty()
    await getattr(pair(store, "async"), verb)(*words)
    assert (threading.get_ident(), []) == (store.hasty.threads[verb], store.sent)


@pytest.mark.parametrize(("verb", "words"), VERBS)
async def test_what_would_wait_is_off_loaded(verb: str, words: tuple[Any, ...]) -> None:
    """A verb that cannot be done at once is done once, in another thread."""
    store = Hasty()
    store.hasty.suffer(verb, busy)
    await getattr(pair(store, "async"), verb)(*words)
    assert ([verb], True) == (store.sent, threading.get_ident() != store.threads[verb])


async def test_what_fails_at_once_has_failed() -> None:
    """Only a verb that had no effect is tried again in another thread."""
    store = Hasty()
    store.hasty.suffer("peek", reply_lost)
    with pytest.raises(StoreUnavailableError):
        await pair(store, "async").peek("a")
    assert [] == store.sent


async def test_close_is_off_loaded() -> None:
    """Closing may wait for others even where verbs do not."""
    store = Hasty()
    await pair(store, "async").close()
    assert ([], ["close"]) == (store.hasty.sent, store.sent)


async def test_off_loaded_verb_answers() -> None:
    """The worker thread's answer is the caller's."""
    store = MemoryStore(clock=lambda: 7)
    paired = pair(FaultyStore(store, "sync"), "async")
    assert Acquired(7, 1, 0) == await paired.claim("a", commands.claim())


def test_beats_of_an_off_loaded_store_stay_on_their_thread() -> None:
    """The beat thread blocks anyway, and so needs no other."""
    store = FaultyStore(MemoryStore(), "sync")
    assert [Standing.HEALED] == pair(store, "async").beat([("a", beat(GRANT))])


async def test_step_is_off_loaded() -> None:
    """Whoever writes into a journal blocks a worker, not the loop."""
    store = FaultyStore(MemoryStore(), "sync")
    face = pair(store, "async")
    owned = commands.grant(commands.claim(), await face.claim("a", commands.claim()))
    standing = await face.step("a", commands.step(owned, commands.note()))
    here = threading.get_ident()
    assert (Standing.HELD, True) == (standing, store.threads["step"] != here)


def test_off_loaded_store_listens() -> None:
    """A watch does not block, so nobody is sent away for it."""
    store = FaultyStore(MemoryStore(), "sync")
    rung = threading.Event()
    pair(store, "async").watch("a", rung.set)()
    assert (True, 0) == (rung.is_set(), store.listeners)


def test_off_loaded_store_hears_of_a_fork() -> None:
    """What lies behind must drop what is the parent's."""
    store = FaultyStore(MemoryStore(), "sync")
    pair(store, "async").after_fork()
    assert ["after_fork"] == store.sent


async def test_cancelled_verb_runs_to_its_end_off_loaded() -> None:
    """A thread cannot be cancelled, so whoever waits for it goes on waiting."""
    store, opened = FaultyStore(MemoryStore(), "sync"), threading.Event()
    store.suffer("peek", preceded_by(opened.wait))
    task = asyncio.create_task(pair(store, "async").peek("a"))
    await asyncio.to_thread(store.until, "peek")
    task.cancel()
    for _ in range(10):
        await asyncio.sleep(0)
    early = task.done()
    opened.set()
    await asyncio.wait([task])
    assert (False, True) == (early, task.cancelled())


async def test_release_never_overtakes_its_claim() -> None:
    """A cancelled claim runs to its end in its thread before it is given back."""
    store, opened = FaultyStore(MemoryStore(), "sync"), threading.Event()
    store.suffer("claim", preceded_by(opened.wait))
    task = asyncio.create_task(claim(pair(store, "async"), "a", commands.claim(), ASYNC))
    await asyncio.to_thread(store.until, "claim")
    task.cancel()
    await asyncio.sleep(0)
    opened.set()
    await asyncio.wait([task])
    assert (True, ["claim", "release"]) == (task.cancelled(), store.ended)


# ------------------------------------------------------------------------------ finish


def test_thread_finishes_by_running() -> None:
    """Nobody can cancel a thread."""
    assert 3 == drive(SYNC.finish(answer(3)))


async def test_finish_returns() -> None:
    """Undisturbed, the coroutine's value is the caller's."""
    assert 3 == await ASYNC.finish(answer(3))


async def test_finish_raises() -> None:
    """Undisturbed, the coroutine's error is the caller's."""
    with pytest.raises(ProbeError):
        await ASYNC.finish(fail())


async def finished(ending: Callable[[], object], *, cancellations: int) -> asyncio.Task[None]:
    """Return a task that was cancelled while it finished a coroutine, which then does `ending`."""
    opened = asyncio.Event()

    async def settle() -> None:
        await opened.wait()
        ending()

    task = asyncio.create_task(ASYNC.finish(settle()))
    for _ in range(cancellations):
        await asyncio.sleep(0)
        task.cancel()
    await asyncio.sleep(0)
    opened.set()
    await asyncio.wait([task])
    return task


@pytest.mark.parametrize("cancellations", [1, 2, 5])
async def test_finish_survives_cancellation(cancellations: int) -> None:
    """However often the caller is cancelled, what it began comes to its end."""
    ended = asyncio.Event()
    await finished(ended.set, cancellations=cancellations)
    assert ended.is_set()


@pytest.mark.parametrize("cancellations", [1, 5])
async def test_cancellation_goes_on_after_finish(cancellations: int) -> None:
    """The caller is cancelled in the end, as it was asked to be."""
    task = await finished(lambda: None, cancellations=cancellations)
    assert task.cancelled()


def broken() -> None:
    """Fail."""
    raise ProbeError


def stopped() -> None:
    """Stop as a cancelled task does."""
    raise asyncio.CancelledError


@pytest.mark.parametrize("ending", [broken, stopped])
async def test_cancellation_outranks_how_it_ended(ending: Callable[[], object]) -> None:
    """A cancelled caller gets its cancellation, and the loop no complaint of a lost error."""
    complaints: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, about: complaints.append(about))
    task: asyncio.Task[None] | None = await finished(ending, cancellations=1)
    cancelled, task = task is not None and task.cancelled(), None
    gc.collect()
    assert (True, []) == (cancelled, complaints)


async def test_cancellation_from_inside_is_passed_on() -> None:
    """A coroutine that stops itself stops its caller."""
    task = await finished(stopped, cancellations=0)
    assert task.cancelled()


# ------------------------------------------------------------------------------- bells


def test_ring_before_the_wait_is_heard() -> None:
    """A thread that comes late to a ring does not wait for the next."""
    bell = ThreadBell()
    bell.ring()
    assert drive(bell.wait(None))


def test_thread_wakes_by_a_ring_from_another(threads: ThreadPoolExecutor) -> None:
    """Anybody may ring."""
    bell = SYNC.bell()
    woken = threads.submit(drive, bell.wait(20))
    bell.ring()
    assert woken.result()


def test_silent_bell_of_a_thread_times_out() -> None:
    """A thread waits no longer than it was told."""
    assert not drive(ThreadBell().wait(0))


def test_one_ring_wakes_a_thread_once() -> None:
    """The next wait needs the next ring."""
    bell = ThreadBell()
    bell.ring()
    assert [True, False] == [drive(bell.wait(0)), drive(bell.wait(0))]


async def test_task_wakes_by_a_ring_from_a_thread() -> None:
    """A bell on a loop may be rung from elsewhere."""
    bell = ASYNC.bell()
    await asyncio.to_thread(bell.ring)
    assert await bell.wait(20)


async def test_silent_bell_of_a_task_times_out() -> None:
    """A task waits no longer than it was told."""
    assert not await LoopBell().wait(0)


async def test_one_ring_wakes_a_task_once() -> None:
    """The next wait needs the next ring."""
    bell = LoopBell()
    bell.ring()
    assert [True, False] == [await bell.wait(20), await bell.wait(0)]


def test_bell_of_a_closed_loop_rings_for_nobody() -> None:
    """Whoever rings for a loop that is gone is not to suffer for it, on its thread or another."""
    loop = asyncio.new_event_loop()
    bell = loop.run_until_complete(answer_of(LoopBell))
    waiting = bell.wait(None)
    task = loop.create_task(waiting)
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(bell.ring).result()
    bell.ring()
    assert not task.done()
    waiting.close()


async def answer_of(make: Callable[[], Any]) -> Any:
    """Return what is made on a running loop."""
    return make()


# ------------------------------------------------------------------------------- alive


def test_thread_is_alive_until_it_has_ended() -> None:
    """Whoever waits for a thread's outcome can see that none will come."""
    with ThreadPoolExecutor(1) as pool:
        alive = pool.submit(SYNC.alive).result()
        before = alive()
    assert (True, False) == (before, alive())


def test_task_is_alive_until_its_loop_is_closed() -> None:
    """Whoever waits for a task's outcome can see that none will come."""
    with asyncio.Runner() as runner:
        alive = runner.run(answer_of(ASYNC.alive))
        before = alive()
    assert (True, False) == (before, alive())


# ------------------------------------------------------------------------------- limit


@pytest.mark.parametrize("seconds", [None, 20.0])
async def test_body_within_its_limit_returns(seconds: float | None) -> None:
    """A limit that is not reached changes nothing."""
    assert 3 == await limit(answer(3), seconds)


async def test_limit_can_be_lifted() -> None:
    """A body that has come to its result in time may go on."""
    lifts: list[Callable[[], None]] = []

    async def body() -> int:
        lifts[0]()
        for _ in range(9):
            await asyncio.sleep(0)
        return 3

    assert 3 == await limit(body(), 1e-9, lifts.append)


async def test_limit_that_is_over_cannot_be_lifted() -> None:
    """It has been told to stop already."""
    lifts: list[Callable[[], None]] = []

    async def body() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            lifts[0]()

    with pytest.raises(MaxRunExceededError):
        await limit(body(), 0.001, lifts.append)


async def test_body_beyond_its_limit_is_cancelled() -> None:
    """A body that never ends is stopped, and its caller told by which setting."""
    with pytest.raises(MaxRunExceededError, match=r"max_run=0\.001 s"):
        await limit(asyncio.Event().wait(), 0.001)


async def timed_out() -> None:
    """Raise what a body's own client raises."""
    raise TimeoutError("of the body's own")


async def test_timeout_of_the_body_passes_through() -> None:
    """A body's own time-out is the body's error, whatever its limit."""
    with pytest.raises(TimeoutError, match="of the body's own") as caught:
        await limit(timed_out(), 20)
    assert TimeoutError is caught.type


async def test_cancellation_of_a_limited_body_passes_through() -> None:
    """A caller that is cancelled is not told that its body was too slow."""
    task = asyncio.create_task(limit(asyncio.Event().wait(), 20))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
