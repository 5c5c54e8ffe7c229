"""Requests inside guarded calls: whose answers live as long as the call does."""

import asyncio
import threading

import pytest

from idemkit import Idempotency, step
from idemkit.stores import MemoryStore
from idemkit.testing import FakeClock, FaultyStore
from idemkit.testing.faults import request_lost
from tests.http.client.callers import ALL, Caller
from tests.http.client.upstream import Exchange, Upstream, events, says, upstream

DAY = 86_400


def numbered(exchange: Exchange) -> None:
    """Answer with the number of the request."""
    exchange.whole(says(f"answer {exchange.number}"))


class Place:
    """A guarded function that asks once, on a store with a clock.

    Args:
        kind: What it asks through.
        model: Whom.
        settings: Of the function.
    """

    def __init__(self, kind: Caller, model: Upstream, **settings: float) -> None:
        model.script = numbered
        self.clock = FakeClock()
        self.store = FaultyStore(MemoryStore(clock=self.clock.milliseconds))
        self.idempotency = Idempotency(self.store, ttl=DAY)
        self.client = kind.open(model.url, self.idempotency)
        self.failures: list[Exception] = []

        @self.idempotency.idempotent(name="ask", **settings)
        async def ask() -> bytes:
            content: bytes = (await self.client.post()).content
            if self.failures:
                raise self.failures.pop()
            return content

        self.ask = ask


async def test_attempts_share_what_was_paid_for(kind: Caller, model: Upstream) -> None:
    """An attempt after a failed one gets its answers."""
    place = Place(kind, model)
    place.failures.append(RuntimeError("after the answer"))
    with pytest.raises(RuntimeError, match="after the answer"):
        await place.ask()
    assert says("answer 1") == await place.ask()
    await place.client.close()


async def test_call_that_has_expired(kind: Caller, model: Upstream) -> None:
    """When its own outcome is over, it asks anew, however long answers are kept."""
    place = Place(kind, model, ttl=60)
    await place.ask()
    place.clock.advance(61)
    assert says("answer 2") == await place.ask()
    await place.client.close()


async def test_call_that_was_forgotten(kind: Caller, model: Upstream) -> None:
    """Forgotten, it asks anew."""
    place = Place(kind, model)
    await place.ask()
    await place.ask.forget()
    assert says("answer 2") == await place.ask()
    await place.client.close()


async def test_crowd_of_one_call(kind: Caller, model: Upstream, idem: Idempotency) -> None:
    """Requests at once are of one series, also in the next attempt."""
    model.script = numbered
    client = kind.open(model.url, idem)
    attempts = 0

    @idem.idempotent
    async def gather() -> list[bytes]:
        nonlocal attempts
        attempts += 1
        answers = await asyncio.gather(*(client.post(json={"seed": seed}) for seed in range(5)))
        if attempts == 1:
            raise RuntimeError("after all answers")
        return [answer.content for answer in answers]

    with pytest.raises(RuntimeError, match="after all answers"):
        await gather()
    await gather()
    await client.close()
    assert 5 == len(model.asked)


@pytest.mark.slow
async def test_store_that_is_down(model: Upstream) -> None:
    """A call that cannot say which series it is asks nobody, however often it tries."""
    place = Place(ALL[0], model)
    place.store.suffer("step", then=request_lost)

    @place.idempotency.idempotent(lease=1)
    async def twice() -> list[str]:
        answers = [await place.client.post() for _ in range(2)]
        return [answer.json()["error"]["code"] for answer in answers]

    codes = await twice()
    await place.client.close()
    assert (["unavailable"] * 2, 0) == (codes, len(model.asked))


async def test_request_inside_a_replay(kind: Caller, model: Upstream, idem: Idempotency) -> None:
    """In a block whose outcome is there already a request is nobody's part."""
    model.script = numbered
    client = kind.open(model.url, idem)
    contents = []
    for _ in range(2):
        async with idem.operation("block", key=1):
            contents.append((await client.post()).content)
    await client.close()
    assert [says("answer 1"), says("answer 2")] == contents


async def test_samples_of_readers_who_leave_early(
    kind: Caller, model: Upstream, idem: Idempotency
) -> None:
    """A reader who leaves when it has heard why the answer ends has had its sample."""
    left = threading.Semaphore(0)

    def stream(exchange: Exchange) -> None:
        *said, done = events(f"sample {exchange.number}")
        exchange.head()
        exchange.part(b"".join(said))
        assert left.acquire(timeout=10)
        exchange.part(done)
        exchange.end()

    model.script = stream
    client = kind.open(model.url, idem)

    @idem.idempotent
    async def best_of(count: int) -> list[bytes]:
        samples = []
        for _ in range(count):
            parts = client.stream()
            samples.append(await anext(parts))
            await parts.aclose()  # type: ignore[attr-defined]
            left.release()
        return samples

    samples = await best_of(3)
    await client.close()
    expected = [b"".join(events(f"sample {number}")[:-1]) for number in (1, 2, 3)]
    assert expected == samples


async def test_places_are_counted_apart(kind: Caller, idem: Idempotency) -> None:
    """The same words to two servers are two requests, in whatever order they come."""
    attempts = 0
    with upstream() as one, upstream() as other:
        one.script = other.script = numbered
        clients = [kind.open(server.url, idem) for server in (one, other)]

        @idem.idempotent
        async def ask() -> None:
            nonlocal attempts
            attempts += 1
            for client in clients if attempts == 1 else reversed(clients):
                await client.post()
            if attempts == 1:
                raise RuntimeError("after both")

        with pytest.raises(RuntimeError, match="after both"):
            await ask()
        await ask()
        for client in clients:
            await client.close()
        assert (1, 1) == (len(one.asked), len(other.asked))


async def test_samples_through_new_clients(
    kind: Caller, model: Upstream, idem: Idempotency
) -> None:
    """Three samples stay three if each is asked for through a client of its own."""
    model.script = numbered

    @idem.idempotent
    async def best_of(count: int) -> list[bytes]:
        samples = []
        for _ in range(count):
            client = kind.open(model.url, idem)
            samples.append((await client.post()).content)
            await client.close()
        return samples

    assert [says(f"answer {number}") for number in (1, 2, 3)] == await best_of(3)


async def test_samples_of_steps(kind: Caller, model: Upstream, idem: Idempotency) -> None:
    """What a step was answered is no sample of another, nor of the call that it is a part of."""
    model.script = numbered
    client = kind.open(model.url, idem)
    attempts = 0

    async def ask() -> bytes:
        content: bytes = (await client.post()).content
        return content

    @idem.idempotent
    async def best_of_four() -> list[bytes]:
        nonlocal attempts
        attempts += 1
        samples = [await step("sample", ask), await step("sample", ask)]
        if attempts == 1:
            raise RuntimeError("after the second sample")
        return [*samples, await step("sample", ask), await ask()]

    with pytest.raises(RuntimeError, match="after the second sample"):
        await best_of_four()
    samples = await best_of_four()
    await client.close()
    assert [says(f"answer {number}") for number in (1, 2, 3, 4)] == samples
