"""What breaks in AWS Powertools idempotency 3.37 when it guards functions, and not here."""

import asyncio
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from idemkit import Idempotency
from idemkit.testing import FakeClock
from idemkit.testing.faults import reply_lost, request_lost, straight
from tests.gauntlet.crowds import Caller, Pause, at_once
from tests.gauntlet.scene import LEASE, Scene, this_attempt


async def test_async_function_does_not_wedge_its_key(idem: Idempotency) -> None:
    """The duplicate of an awaited call gets its value."""
    runs = []

    @idem.idempotent
    async def work(number: int) -> str:
        runs.append(number)
        return f"number {number}"

    values = [await work(7), await work(7)]
    assert (["number 7", "number 7"], [7]) == (values, runs)


async def test_failed_async_function_does_not_wedge_its_key(scene: Scene) -> None:
    """After a coroutine that raised the next caller runs at once."""
    attempts = []

    @scene.application(on_duplicate="reject").idempotent
    async def work() -> str:
        attempts.append(this_attempt())
        if len(attempts) == 1:
            raise ConnectionError("the provider is down")
        return "done"

    with pytest.raises(ConnectionError):
        await work()
    assert ("done", [1, 2]) == (await work(), attempts)


def test_nested_functions_save_under_their_own_keys(idem: Idempotency) -> None:
    """A guarded call inside another, with the same arguments, is recorded as itself."""

    @idem.idempotent
    def inner(number: int) -> str:
        return f"inner {number}"

    @idem.idempotent
    def outer(number: int) -> str:
        return f"outer around {inner(number)}"

    values = [outer(7), inner(7), outer(7)]
    assert ["outer around inner 7", "inner 7", "outer around inner 7"] == values


async def test_nested_coroutines_save_under_their_own_keys(idem: Idempotency) -> None:
    """So do coroutine functions, with several of them under way at once."""

    @idem.idempotent
    async def inner(number: int) -> str:
        await asyncio.sleep(0)
        return f"inner {number}"

    @idem.idempotent
    async def outer(number: int) -> str:
        return f"outer around {await inner(number)}"

    first = await asyncio.gather(*(outer(number) for number in range(9)))
    again = [await outer(number) for number in range(9)]
    inside = [await inner(number) for number in range(9)]
    expected = [f"inner {number}" for number in range(9)]
    around = [f"outer around {text}" for text in expected]
    assert (around, around, expected) == (first, again, inside)


def test_threads_get_the_results_of_their_own_functions(idem: Idempotency) -> None:
    """Two functions with the same arguments, called from 16 threads, never mix up."""

    @idem.idempotent
    def double(number: int) -> tuple[str, int]:
        return "double", number * 2

    @idem.idempotent
    def square(number: int) -> tuple[str, int]:
        return "square", number * number

    functions = (double, square)

    def call(caller: int) -> list[tuple[str, int]]:
        return [functions[(caller + number) % 2](number) for number in range(50)]

    truth = (lambda number: ("double", number * 2), lambda number: ("square", number * number))
    expected = [[truth[(caller + n) % 2](n) for n in range(50)] for caller in range(16)]
    assert expected == at_once(16, call)


@pytest.mark.parametrize("falsy", [None, 0, 0.0, "", b"", [], {}, (), False], ids=repr)
def test_falsy_result_replays_as_itself(idem: Idempotency, falsy: Any) -> None:
    """What is false is a result like any other."""
    runs = []

    @idem.idempotent
    def work() -> Any:
        runs.append(falsy)
        return falsy

    values = [work(), work()]
    assert ([(type(falsy), falsy)] * 2, 1) == ([(type(v), v) for v in values], len(runs))


def test_late_owner_does_not_overwrite_the_new_owners_result(
    scene: Scene, clock: FakeClock
) -> None:
    """An owner paused past its lease returns the result of the one that took its scene."""
    pause = Pause()

    def work() -> str:
        attempt = this_attempt()
        if attempt == 1:
            pause.here()
        return f"attempt {attempt}"

    late = scene.application().idempotent(lease=LEASE)(work)
    winner = scene.application().idempotent(lease=LEASE)(work)
    zombie = Caller(late)
    pause.reached()
    clock.advance(LEASE)
    taken_over = winner()
    pause.end()
    values = [taken_over, zombie.result(), winner(), late()]
    assert ["attempt 2"] * 4 == values


def test_late_failure_does_not_delete_the_new_owners_result(scene: Scene, clock: FakeClock) -> None:
    """An owner that fails past its lease leaves alone what another has recorded."""
    pause = Pause()

    def work() -> str:
        attempt = this_attempt()
        if attempt == 1:
            pause.here()
            raise ConnectionError("too late")
        return f"attempt {attempt}"

    late = scene.application().idempotent(lease=LEASE)(work)
    winner = scene.application().idempotent(lease=LEASE)(work)
    zombie = Caller(late)
    pause.reached()
    clock.advance(LEASE)
    taken_over = winner()
    pause.end()
    with pytest.raises(ConnectionError, match="too late"):
        zombie.result()
    assert ["attempt 2"] * 3 == [taken_over, winner(), late()]


def test_late_owner_does_not_end_the_new_owners_claim(scene: Scene, clock: FakeClock) -> None:
    """A late owner that fails while another runs does not let a third one in."""
    pauses = {1: Pause(), 2: Pause()}
    attempts = []

    def work() -> str:
        attempt = this_attempt()
        attempts.append(attempt)
        pauses[attempt].here()
        if attempt == 1:
            raise ConnectionError("too late")
        return f"attempt {attempt}"

    zombie = Caller(scene.application().idempotent(lease=LEASE)(work))
    pauses[1].reached()
    clock.advance(LEASE)
    owner = Caller(scene.application().idempotent(lease=LEASE)(work))
    pauses[2].reached()
    pauses[1].end()
    with pytest.raises(ConnectionError, match="too late"):
        zombie.result()
    store = scene.faulty()
    third = Caller(scene.application(store).idempotent(lease=LEASE)(work))
    store.until("watch", ended=True)
    pauses[2].end()
    values = [owner.result(), third.result()]
    assert (["attempt 2"] * 2, [1, 2]) == (values, attempts)


async def test_late_coroutine_does_not_overwrite_the_new_owners_result(
    scene: Scene, clock: FakeClock
) -> None:
    """A task paused past its lease returns the result of the one that took its scene."""
    paused, go_on = asyncio.Event(), asyncio.Event()

    async def work() -> str:
        attempt = this_attempt()
        if attempt == 1:
            paused.set()
            await go_on.wait()
        return f"attempt {attempt}"

    late = scene.application().idempotent(lease=LEASE)(work)
    winner = scene.application().idempotent(lease=LEASE)(work)
    zombie = asyncio.create_task(late())
    await paused.wait()
    clock.advance(LEASE)
    taken_over = await winner()
    go_on.set()
    values = [taken_over, await zombie, await winner()]
    assert ["attempt 2"] * 3 == values


def test_store_failure_after_the_effect_does_not_reach_the_caller(scene: Scene) -> None:
    """A value that was paid for is handed out although it could not be recorded."""
    store = scene.faulty()

    @scene.application(store).idempotent(lease=1)
    def work() -> str:
        store.suffer("complete", then=request_lost)
        store.suffer("beat", then=request_lost)
        return "paid for"

    outcome = Caller(work.outcome).result()
    assert ("paid for", False) == (outcome.value, outcome.recorded)


def test_completion_that_always_fails_does_not_hold_the_caller(scene: Scene) -> None:
    """Nor is it kept from its caller for ever by a store that takes beats, but not the value."""
    store = scene.faulty()

    @scene.application(store).idempotent(lease=1)
    def work() -> str:
        store.suffer("complete", then=request_lost)
        return "paid for"

    outcome = Caller(work.outcome).result()
    assert ("paid for", False) == (outcome.value, outcome.recorded)


def test_store_failure_after_the_effect_does_not_wedge_the_key(
    scene: Scene, clock: FakeClock
) -> None:
    """What could not be recorded runs again as soon as its lease is over."""
    store = scene.faulty()

    @scene.application(store, on_duplicate="reject").idempotent(lease=1)
    def work() -> int:
        attempt = this_attempt()
        for verb in ("complete", "beat"):
            store.suffer(verb, then=request_lost if attempt == 1 else straight)
        return attempt

    first = Caller(work).result()
    clock.advance(1)
    assert (1, 2) == (first, work())


def test_store_failure_after_a_failure_does_not_wedge_the_key(
    scene: Scene, clock: FakeClock
) -> None:
    """A body that raises is heard although its claim could not be given back; a lease frees it."""
    store = scene.faulty()
    store.suffer("release", then=request_lost)

    @scene.application(store, on_duplicate="reject").idempotent(lease=LEASE)
    def work() -> int:
        attempt = this_attempt()
        if attempt == 1:
            raise ConnectionError("the provider is down")
        return attempt

    with pytest.raises(ConnectionError):
        work()
    clock.advance(LEASE)
    assert 2 == work()


def test_brief_store_failure_after_the_effect_costs_nothing(scene: Scene) -> None:
    """A completion that got lost is sent again, and the duplicate replays."""
    store = scene.faulty()

    @scene.application(store).idempotent
    def work() -> str:
        store.suffer("complete", request_lost)
        return "paid for"

    outcomes = [work.outcome(), work.outcome()]
    assert [("executed", True), ("replayed", True)] == [(o.kind, o.recorded) for o in outcomes]


def test_lost_reply_to_a_completion_costs_nothing(scene: Scene) -> None:
    """A completion that took effect unheard is a success, and the duplicate replays."""
    store = scene.faulty()

    @scene.application(store).idempotent
    def work() -> str:
        store.suffer("complete", reply_lost)
        return "paid for"

    outcomes = [work.outcome(), work.outcome()]
    assert [("executed", True), ("replayed", True)] == [(o.kind, o.recorded) for o in outcomes]


@pytest.mark.parametrize(
    "value",
    [
        (1, "two"),
        {1: "one", "1": "text"},
        Decimal("1.10"),
        [(1,), {(2, 3): Decimal(4)}],
        {"when": date(2026, 1, 2), "raw": b"\xff", "some": {1, 2}},
        2**70,
    ],
    ids=["tuple", "int keys", "Decimal", "nested", "other types", "big int"],
)
def test_result_comes_back_in_its_types(idem: Idempotency, value: Any) -> None:
    """A replay is what the first call returned, in every part and type."""

    @idem.idempotent
    def work() -> Any:
        return value

    values = [work(), work()]
    assert [repr(value)] * 2 == [repr(each) for each in values]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_interrupted_function_does_not_wedge_its_key(
    scene: Scene, stop: type[BaseException]
) -> None:
    """Whoever interrupts a body finds its key free, with the store's clock at rest."""

    @scene.application(on_duplicate="reject").idempotent
    def work() -> int:
        attempt = this_attempt()
        if attempt == 1:
            raise stop
        return attempt

    with pytest.raises(stop):
        work()
    assert 2 == work()


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_interrupted_coroutine_does_not_wedge_its_key(
    scene: Scene, stop: type[BaseException]
) -> None:
    """So does whoever interrupts a whole event loop."""

    @scene.application(on_duplicate="reject").idempotent
    async def work() -> int:
        attempt = this_attempt()
        if attempt == 1:
            raise stop
        return attempt

    with pytest.raises(stop):
        asyncio.run(work())
    assert 2 == asyncio.run(work())
