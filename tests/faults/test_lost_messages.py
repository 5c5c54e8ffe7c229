"""Requests, replies and refusals that get lost, doubled or delayed between a call and its store."""

import asyncio
import functools
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from idemkit import Idempotency, StoreUnavailableError, step
from idemkit.core.colour import drive
from idemkit.protocol import Standing
from idemkit.stores.redis import RedisStore
from idemkit.stores.redis.wire import BEAT, CLAIM, COMPLETE, FORGET, PEEK, RELEASE, STEP
from tests.commands import completion
from tests.faults.bodies import Make, Runs, charge, noting, stopping
from tests.faults.refusals import ALWAYS, Refuser
from tests.faults.scene import LEASE, Scene, Served, address_of
from tests.gauntlet.crowds import Caller, Pause
from tests.proxy import Proxy
from tests.servers import wait_until

PASSING = [
    "CLUSTERDOWN The cluster is down",
    "LOADING Redis is loading the dataset in memory",
    "READONLY You can't write against a read only replica.",
]
LASTING = [*PASSING, "MOVED 3999 127.0.0.1:6381"]


@pytest.fixture
def through_proxy(served_live: Served, proxy: Proxy) -> Iterator[Idempotency]:
    """Return an application that reaches its server through the proxy."""
    with Idempotency(RedisStore(proxy.url, prefix=served_live.prefix, command_timeout=1)) as idem:
        yield idem


@pytest.fixture
def refuser(served_live: Served) -> Iterator[Refuser]:
    """Stand between stores and a server that knows all scripts, to refuse them."""
    for script in (BEAT, CLAIM, COMPLETE, FORGET, PEEK, RELEASE, STEP):
        served_live.server.do("SCRIPT", "LOAD", script.source)
    with closing(Refuser(served_live.server.port)) as refuser:
        yield refuser


@pytest.fixture
def refused(served_live: Served, refuser: Refuser) -> Iterator[Idempotency]:
    """Return an application that reaches its server through the refuser."""
    with Idempotency(RedisStore(refuser.url, prefix=served_live.prefix), lease=1) as idem:
        yield idem


@pytest.fixture(params=["thread", "event loop"])
def make(request: pytest.FixtureRequest) -> Make:
    """Return what makes a call in each colour, and disturbs it when its connection is open."""

    def in_thread(
        idem: Idempotency, body: Callable[[int], Any], disturb: Callable[[], None] = list
    ) -> Any:
        idem.idempotent(name="other")(noting(Runs()))(0)
        disturb()
        return charge(idem, body).outcome(7)

    def in_loop(
        idem: Idempotency, body: Callable[[int], Any], disturb: Callable[[], None] = list
    ) -> Any:
        async def coroutine(amount: int) -> Any:
            return body(amount)

        async def other(amount: int) -> int:
            return amount

        async def call() -> Any:
            await idem.idempotent(other)(0)
            disturb()
            return await charge(idem, coroutine).outcome(7)

        return asyncio.run(call())

    return in_thread if request.param == "thread" else in_loop


def test_18_claim_whose_reply_is_lost_is_its_own(
    served_live: Served, proxy: Proxy, through_proxy: Idempotency, make: Make
) -> None:
    """A claim that took effect without its sender knowing is granted to it again: one attempt."""
    runs, scripts = Runs(), []

    def disturb() -> None:
        scripts.append(served_live.server.scripts_run())
        proxy.drop_replies(1)

    outcome = make(through_proxy, noting(runs), disturb)
    sent = served_live.server.scripts_run() - scripts[0]
    assert ("executed", [1], 3) == (outcome.kind, runs.attempts, sent)  # the claim twice


def test_20_completion_whose_reply_is_lost_has_succeeded(
    served_live: Served, proxy: Proxy, through_proxy: Idempotency, make: Make
) -> None:
    """A completion that took effect without its sender knowing is a success, and replays."""
    runs, scripts = Runs(), []

    def body(amount: int) -> str:
        scripts.append(served_live.server.scripts_run())
        proxy.drop_replies(1)
        return noting(runs)(amount)

    outcome = make(through_proxy, body)
    sent = served_live.server.scripts_run() - scripts[0]
    assert ("executed", True, 2) == (outcome.kind, outcome.recorded, sent)
    assert "replayed" == charge(served_live.application(), noting(runs)).outcome(7).kind


def test_21_completion_that_arrives_after_a_takeover_is_lost(scene: Scene) -> None:
    """A completion that was long on its way changes nothing for the owner that runs by then."""
    pause = Pause()
    work = charge(scene.application(), stopping(pause, "won"))
    old = scene.vanish(work, 7)
    scene.clock.advance(LEASE)
    owner = Caller(lambda: work.outcome(7))
    pause.reached()
    before = scene.record(work, 7)
    standing = drive(scene.store.complete(address_of(work, 7), completion(old)))
    after = scene.record(work, 7)
    pause.end()
    assert (Standing.SUPERSEDED, before) == (standing, after)
    assert ("won", True) == (owner.result().value, owner.result().recorded)


def test_21_completion_that_arrives_after_the_winners_is_lost(scene: Scene) -> None:
    """Nor does it replace what that owner has recorded."""
    work = charge(scene.application(), noting(Runs(), "won"))
    old = scene.vanish(work, 7)
    scene.clock.advance(LEASE)
    work(7)
    standing = drive(scene.store.complete(address_of(work, 7), completion(old)))
    assert (Standing.SUPERSEDED, "won") == (standing, work(7))


def test_22_cancelled_call_leaves_its_reply_behind(served: Served) -> None:
    """After a cancellation amid a command, the next commands get replies of their own."""
    runs: list[int] = []

    async def body(amount: int) -> int:
        runs.append(amount)
        return amount

    work = charge(served.application(), body)

    async def cancel_and_go_on() -> list[int]:
        await work(0)
        served.server.freeze()
        try:
            cancelled = asyncio.create_task(work(1))
            for _ in range(20):  # turns of the loop, in which the claim leaves
                await asyncio.sleep(0)
            cancelled.cancel()
        finally:
            served.server.thaw()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        return await asyncio.gather(*(work(amount) for amount in (2, 0, 1, 3)))

    assert ([2, 0, 1, 3], [0, 1, 2, 3]) == (asyncio.run(cancel_and_go_on()), sorted(runs))


def test_23_script_flush_is_transparent(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    """A server that forgets all scripts before each verb is told them again."""
    store, runs = served.faulty(), Runs()

    def forget_scripts() -> None:
        served.server.do("SCRIPT", "FLUSH")

    def body(amount: int) -> str:
        runs.note()
        if runs.attempts == [1]:
            forget_scripts()
            store.until("beat", ended=True)
            forget_scripts()
            raise ConnectionError(amount)
        forget_scripts()
        return "paid"

    work = charge(served.application(store, lease=1), body)
    forget_scripts()
    with pytest.raises(ConnectionError):
        work(7)
    outcome = work.outcome(7)
    forget_scripts()
    peeked = work.peek(7)
    forget_scripts()
    assert (True, "paid", True, [1, 2]) == (
        outcome.recorded,
        peeked.value,
        work.forget(7),
        runs.attempts,
    )
    assert [] == caplog.messages


@pytest.mark.parametrize("trouble", PASSING)
def test_24_passing_trouble_at_claim(
    refuser: Refuser, refused: Idempotency, make: Make, trouble: str
) -> None:
    """A claim that is refused twice for the moment is sent a third time."""
    runs = Runs()
    disturb = functools.partial(refuser.refuse_script, CLAIM.digest, trouble, times=2)
    outcome = make(refused, noting(runs), disturb)
    assert ("executed", [1], 2) == (outcome.kind, runs.attempts, refuser.refused)


@pytest.mark.parametrize("trouble", LASTING)
def test_24_lasting_trouble_at_claim(
    refuser: Refuser, refused: Idempotency, make: Make, trouble: str
) -> None:
    """A claim that is refused again and again stops the call before its body runs."""
    runs = Runs()
    disturb = functools.partial(refuser.refuse_script, CLAIM.digest, trouble, times=ALWAYS)
    with pytest.raises(StoreUnavailableError):
        make(refused, noting(runs), disturb)
    assert [] == runs.attempts


@pytest.mark.parametrize("trouble", PASSING)
def test_24_passing_trouble_at_completion(
    refuser: Refuser, refused: Idempotency, make: Make, trouble: str
) -> None:
    """A completion that is refused twice for the moment is sent a third time."""
    disturb = functools.partial(refuser.refuse_script, COMPLETE.digest, trouble, times=2)
    outcome = make(refused, noting(Runs()), disturb)
    assert ("paid", True, 2) == (outcome.value, outcome.recorded, refuser.refused)


def test_24_lasting_trouble_at_completion(
    refuser: Refuser, refused: Idempotency, make: Make
) -> None:
    """A completion that is refused until the lease would end leaves the caller its value."""
    disturb = functools.partial(refuser.refuse_script, COMPLETE.digest, PASSING[0], times=ALWAYS)
    outcome = make(refused, noting(Runs()), disturb)
    assert ("paid", False, True) == (outcome.value, outcome.recorded, refuser.refused > 3)


def test_24_lasting_trouble_at_release(refuser: Refuser, refused: Idempotency, make: Make) -> None:
    """A body's own exception is what its caller gets, though the release is refused."""

    def fail(amount: int) -> None:
        del amount
        raise ConnectionError("the provider is down")

    disturb = functools.partial(refuser.refuse_script, RELEASE.digest, PASSING[0], times=ALWAYS)
    with pytest.raises(ConnectionError, match="the provider is down"):
        make(refused, fail, disturb)
    assert 3 == refuser.refused


def test_24_passing_trouble_at_beat(
    served_live: Served, refuser: Refuser, refused: Idempotency
) -> None:
    """A beat that is refused twice for the moment still renews the lease."""
    pause = Pause()
    refuser.refuse_script(BEAT.digest, PASSING[0], times=2)
    work = charge(refused, stopping(pause))
    owner = Caller(lambda: work.outcome(7))
    pause.reached()
    claimed_until = served_live.record(work, 7).lease_until
    wait_until(lambda: served_live.record(work, 7).lease_until > claimed_until)
    pause.end()
    assert (True, 2) == (owner.result().recorded, refuser.refused)


def test_24_passing_trouble_at_step(refuser: Refuser, refused: Idempotency, make: Make) -> None:
    """A step's result that is refused twice for the moment is sent a third time."""
    disturb = functools.partial(refuser.refuse_script, STEP.digest, PASSING[0], times=2)
    outcome = make(refused, lambda amount: step("charge", str, amount), disturb)
    assert ("7", True, 2) == (outcome.value, outcome.recorded, refuser.refused)


def test_24_lasting_trouble_at_step(refuser: Refuser, refused: Idempotency, make: Make) -> None:
    """A step whose intent is refused until the lease would end is not taken."""
    taken: list[int] = []

    def body(amount: int) -> None:
        step("charge", taken.append, amount, delivery="at_most_once")

    disturb = functools.partial(refuser.refuse_script, STEP.digest, PASSING[0], times=ALWAYS)
    with pytest.raises(StoreUnavailableError):
        make(refused, body, disturb)
    assert ([], True) == (taken, refuser.refused > 3)


@pytest.mark.parametrize("verb", ["peek", "forget"])
def test_24_lasting_trouble_at_a_look(refuser: Refuser, refused: Idempotency, verb: str) -> None:
    """Whoever looks or forgets hears that the store does not answer."""
    work = charge(refused, noting(Runs()))
    digest = {"peek": PEEK, "forget": FORGET}[verb].digest
    refuser.refuse_script(digest, PASSING[0], times=ALWAYS)
    with pytest.raises(StoreUnavailableError):
        getattr(work, verb)(7)
