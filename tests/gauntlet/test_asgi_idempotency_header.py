"""What breaks in asgi-idempotency-header 0.2 where it concerns functions, and not here."""

import asyncio
import itertools

import pytest

from idemkit import Idempotency, KeyReusedError
from idemkit.testing import FakeClock
from tests.gauntlet.scene import Scene, this_attempt

TTL = 3600.0


def test_key_is_free_again_after_its_ttl(scene: Scene, clock: FakeClock) -> None:
    """An outcome is replayed to the end of its ttl, and then the call runs again."""
    numbers = itertools.count()

    @scene.application(on_duplicate="reject").idempotent(ttl=TTL)
    def work() -> int:
        return next(numbers)

    first = work()
    clock.advance(TTL - 0.001)
    last_replay = work()
    clock.advance(0.001)
    assert (0, 0, 1) == (first, last_replay, work())


def test_key_is_free_again_after_an_exception(scene: Scene) -> None:
    """A function that raised runs again at once, as its second attempt."""

    @scene.application(on_duplicate="reject").idempotent
    def work() -> int:
        attempt = this_attempt()
        if attempt == 1:
            raise ValueError("not today")
        return attempt

    with pytest.raises(ValueError, match="not today"):
        work()
    assert 2 == work()


def test_exception_reaches_its_caller_as_it_is(idem: Idempotency) -> None:
    """The body's own exception object is what the caller gets."""
    failure = ValueError("not today")

    @idem.idempotent
    def work() -> None:
        raise failure

    with pytest.raises(ValueError, match="not today") as caught:
        work()
    assert failure is caught.value


async def test_key_is_free_again_after_a_cancellation_before_the_body(scene: Scene) -> None:
    """A task that is cancelled at any point on its way to the body leaves no claim behind."""

    @scene.application(on_duplicate="reject").idempotent
    async def work(number: int) -> int:
        return number

    await work(-1)  # connected
    values = []
    for turns in range(12):
        task = asyncio.create_task(work(turns))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        values.append(await work(turns))
    assert list(range(12)) == values


def test_cancelled_waiter_leaves_the_owner_alone(scene: Scene) -> None:
    """A duplicate that is cancelled while it waits changes nothing for anybody else."""
    attempts = []

    async def scenario() -> list[str]:
        started, go_on = asyncio.Event(), asyncio.Event()

        async def work() -> str:
            attempts.append(this_attempt())
            started.set()
            await go_on.wait()
            return "done"

        here, elsewhere = (scene.application().idempotent(work) for _ in range(2))
        owner = asyncio.create_task(here())
        await started.wait()
        waiters = [asyncio.create_task(guarded()) for guarded in (here, elsewhere)]
        await asyncio.wait(waiters, timeout=0.05)
        for waiter in waiters:
            waiter.cancel()
        await asyncio.wait(waiters)
        go_on.set()
        return [await owner, await here(), await elsewhere()]

    assert (["done"] * 3, [1]) == (asyncio.run(scenario()), attempts)


def test_other_payload_under_a_key_is_refused(idem: Idempotency) -> None:
    """A key that comes again with another payload gets neither result."""

    @idem.idempotent(key=["request"])
    def work(request: str, amount: int) -> str:
        return f"{request}: {amount}"

    work("a", 1)
    with pytest.raises(KeyReusedError):
        work("a", 2)


def test_key_of_another_operation_is_another_key(idem: Idempotency) -> None:
    """The same key text given to two operations is no duplicate."""

    @idem.idempotent(key=["request"])
    def charge(request: str) -> str:
        return f"charged {request}"

    @idem.idempotent(key=["request"])
    def refund(request: str) -> str:
        return f"refunded {request}"

    assert ("charged a", "refunded a") == (charge("a"), refund("a"))


def test_key_of_another_user_is_another_key(idem: Idempotency) -> None:
    """A user named in the key keeps the results of two users apart."""

    @idem.idempotent(key=["user", "request"])
    def token(user: str, request: str) -> str:
        return f"{request} of {user}"

    assert ("a of alice", "a of bob") == (token("alice", "a"), token("bob", "a"))
