"""Requests, replies and refusals that get lost, doubled or delayed between a call and its store."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from idemkit import Idempotency, Outcome, StoreUnavailableError
from idemkit.core.colour import drive
from idemkit.protocol import Standing
from idemkit.stores.redis import RedisStore
from idemkit.stores.redis.wire import BEAT, CLAIM, COMPLETE, FORGET, PEEK, RELEASE
from tests.commands import completion
from tests.faults.bodies import Runs, charge, noting, stopping
from tests.faults.refusals import ALWAYS, Refuser, refuser_before
from tests.faults.scene import LEASE, Far, Scene, address_of
from tests.gauntlet.crowds import Caller, Pause
from tests.proxy import Proxy
from tests.servers import wait_until

LOADING = "LOADING Redis is loading the dataset in memory"
READONLY = "READONLY You can't write against a read only replica."
CLUSTERDOWN = "CLUSTERDOWN The cluster is down"
MOVED = "MOVED 3999 127.0.0.1:6381"


@pytest.fixture
def through_proxy(live: Far, proxy: Proxy) -> Iterator[Idempotency]:
    """Return an application that reaches its server through the proxy, and is connected."""
    with Idempotency(RedisStore(proxy.url, prefix=live.prefix, command_timeout=1)) as idem:
        idem.idempotent(name="other")(noting(Runs()))(0)
        yield idem


@pytest.fixture
def refuser(live: Far) -> Iterator[Refuser]:
    """Stand between stores and the server, to refuse."""
    with refuser_before(live.server.port) as refuser:
        yield refuser


@pytest.fixture
def refused(live: Far, refuser: Refuser) -> Iterator[Idempotency]:
    """Return an application that reaches its server through the refuser; all scripts are known."""
    with Idempotency(RedisStore(refuser.url, prefix=live.prefix), lease=1) as idem:
        work = idem.idempotent(name="other")(noting(Runs()))
        work(0)
        work.peek(0)
        work.forget(0)
        yield idem


def in_thread(work: Callable[[int], str]) -> Any:
    """Guard a body for threads, and return what calls it."""
    return work


@pytest.fixture(params=["sync", "async"])
def outcome_of(request: pytest.FixtureRequest) -> Callable[..., Outcome[Any]]:
    """Return what makes a call in each colour."""

    def by_thread(idem: Idempotency, body: Callable[[int], Any]) -> Any:
        return charge(idem, body).outcome(7)

    def by_loop(idem: Idempotency, body: Callable[[int], Any]) -> Any:
        async def coroutine(amount: int) -> Any:
            return body(amount)

        return asyncio.run(charge(idem, coroutine).outcome(7))

    return by_thread if request.param == "sync" else by_loop


@pytest.mark.parametrize("lost", [1, 2])
def test_18_claim_whose_reply_is_lost_is_its_own(
    live: Far,
    proxy: Proxy,
    through_proxy: Idempotency,
    outcome_of: Callable[..., Outcome[Any]],
    lost: int,
) -> None:
    """A claim that took effect without its sender knowing is granted to it again: one attempt."""
    runs = Runs()

    def after_the_loss(idem: Idempotency) -> Outcome[Any]:
        proxy.drop_replies(lost)
        return outcome_of(idem, noting(runs))

    before = live.server.scripts_run()
    outcome = after_the_loss(through_proxy)
    claims = live.server.scripts_run() - before - 1  # one completion
    assert ("executed", 1, [1], lost + 1) == (outcome.kind, outcome.attempt, runs.attempts, claims)


def test_20_completion_whose_reply_is_lost_has_succeeded(
    proxy: Proxy, through_proxy: Idempotency, outcome_of: Callable[..., Outcome[Any]]
) -> None:
    """A completion that took effect without its sender knowing is a success, and replays."""
    runs = Runs()

    def body(amount: int) -> str:
        proxy.drop_replies(1)
        return noting(runs)(amount)

    first, second = (outcome_of(through_proxy, body) for _ in range(2))
    assert (("executed", True), "replayed", [1]) == (
        (first.kind, first.recorded),
        second.kind,
        runs.attempts,
    )


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


def test_22_cancelled_call_leaves_its_reply_behind(live: Far) -> None:
    """After a cancellation amid a command, the next commands get replies of their own."""
    runs: list[int] = []

    async def body(amount: int) -> int:
        runs.append(amount)
        return amount

    work = charge(live.application(), body)

    async def cancel_and_go_on() -> list[int]:
        await work(0)
        live.server.freeze()
        try:
            cancelled = asyncio.create_task(work(1))
            while not (underway := waiting_for_reply(live)):
                await asyncio.sleep(0)
            cancelled.cancel()
        finally:
            live.server.thaw()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        assert underway
        return await asyncio.gather(*(work(amount) for amount in (2, 0, 1, 3)))

    assert ([2, 0, 1, 3], [0, 1, 2, 3]) == (asyncio.run(cancel_and_go_on()), sorted(runs))


def test_23_script_flush_is_transparent(scene_scripts: "Flushed", live: Far) -> None:
    """A server that forgets all scripts before each verb is told them again."""
