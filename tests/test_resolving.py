"""What no attempt could settle is settled by hand, in every state and both colours."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from idemkit import (
    Idempotency,
    InDoubtError,
    InProgressError,
    KeyReusedError,
    ResultNotSerializableError,
    StoreUnavailableError,
    side_effect,
    step,
)
from idemkit.codecs import PickleCodec
from idemkit.core.colour import drive
from idemkit.protocol import Claim, Situation, Terms, classify
from idemkit.testing.faults import followed_by, preceded_by, reply_lost, request_lost
from tests.doors import Body, Door
from tests.servers import running, valkey_binary
from tests.stand_ins import reached, suspended_until


@dataclass
class Receipt:
    """A result of a class of its own."""

    number: int


class Desk:
    """Where one colour settles by hand, and a guarded function that gets into trouble.

    Args:
        runner: Runs coroutines; None for synchronous callers.
    """

    def __init__(self, runner: asyncio.Runner | None) -> None:
        self.door = Door(runner)
        self.body = Body()
        self.pay = self.door.guard(self.body.pay, on_abandoned="raise")
        self.key = self.pay.key(5)
        idem = self.door.idempotency
        self._resolve = idem.resolve if runner is None else idem.aresolve
        self._forget = idem.forget if runner is None else idem.aforget

    def resolve(self, value: Any, *, key: str | None = None, **options: Any) -> Any:
        """Settle by hand."""
        return self.door.run(self._resolve(key or self.key, value, **options))

    def forget(self, key: str) -> Any:
        """Free a key by its text."""
        return self.door.run(self._forget(key))

    def call(self) -> Any:
        """Call the function."""
        return self.door.run(self.pay(5))

    def situation(self, key: str | None = None) -> Situation:
        """Return what has become of the call."""
        address = (key or self.key).rpartition(":")[2]
        return classify(*drive(self.door.memory.peek(address)) or (None, 0))


@pytest.fixture(params=["sync", "async"])
def desk(request: pytest.FixtureRequest) -> Iterator[Desk]:
    """Return a desk of each colour."""
    if request.param == "sync":
        yield Desk(None)
        return
    with asyncio.Runner() as runner:
        yield Desk(runner)


def failed(desk: Desk) -> None:
    """Let the call fail."""
    desk.body.failures.append(LookupError())
    with pytest.raises(LookupError):
        desk.call()


def abandoned(desk: Desk) -> None:
    """Let the call vanish."""
    desk.door.abandon(desk.key)


def poisoned(desk: Desk) -> None:
    """Let the call vanish again and again."""
    address = desk.key.rpartition(":")[2]
    for attempt in range(5):
        token = b"attempt %d......." % attempt
        drive(desk.door.memory.claim(address, Claim(token, b"", Terms(lease=1000))))
        desk.door.clock.advance(2)


# ---------------------------------------------------------------------------- whole calls


@pytest.mark.parametrize("trouble", [failed, abandoned, poisoned])
def test_call_is_settled(desk: Desk, trouble: Callable[[Desk], None]) -> None:
    """Every caller gets the value, and the body does not run again."""
    trouble(desk)
    runs = desk.body.runs
    assert (True, "found", runs) == (desk.resolve("found"), desk.call(), desk.body.runs)


def test_outcome_lasts_as_long_as_the_configuration_says(desk: Desk) -> None:
    """The default `ttl` counts from the settlement."""
    abandoned(desk)
    desk.resolve("found")
    outcome = desk.door.run(desk.pay.outcome(5))
    assert 86_400 == (outcome.expires_at - outcome.created_at).total_seconds()


def test_value_of_a_class_of_its_own(desk: Desk) -> None:
    """It is recorded as the function would record it."""

    def give(number: int) -> Receipt:
        return Receipt(number)

    receipt = desk.door.guard(give, name="shop.receipt")
    desk.door.abandon(receipt.key(5))
    desk.resolve(Receipt(7), key=receipt.key(5))
    assert [Receipt(7), Receipt(6)] == [desk.door.run(receipt(number)) for number in (5, 6)]


def test_value_in_a_codec_of_its_own(desk: Desk) -> None:
    """An operation that names a codec is settled with that."""
    pay = desk.door.guard(desk.body.pay, name="shop.other", codec=PickleCodec(trust_store=True))
    desk.door.abandon(pay.key(5))
    desk.resolve({1: 2}, key=pay.key(5), codec=PickleCodec(trust_store=True))
    assert {1: 2} == desk.door.run(pay(5))


def test_fingerprint_stays(desk: Desk) -> None:
    """A settled key still belongs to its payload."""
    desk.body.failures.append(LookupError())
    pay = desk.door.guard(desk.body.pay, key=["amount"], name="shop.fingerprint")
    with pytest.raises(LookupError):
        desk.door.run(pay(5, "tea"))
    desk.resolve("found", key=pay.key(5))
    with pytest.raises(KeyReusedError):
        desk.door.run(pay(5, "coffee"))
    assert "found" == desk.door.run(pay(5, "tea"))


def test_key_of_the_error_will_do(desk: Desk) -> None:
    """Whoever catches the error has all it takes."""
    abandoned(desk)
    with pytest.raises(InDoubtError, match=r"resolve\(key, value\)") as raised:
        desk.call()
    assert True is desk.resolve("found", key=raised.value.key)


def test_running_call_is_not_settled(desk: Desk) -> None:
    """Its owner will."""
    drive(desk.door.memory.claim(desk.key.rpartition(":")[2], Claim(b"t" * 16, b"", Terms(9000))))
    with pytest.raises(InProgressError) as raised:
        desk.resolve("found")
    assert (5.0, desk.key) == (raised.value.retry_after, raised.value.key)


@pytest.mark.parametrize("key", ["shop.pay@1:" + "0" * 32, "shop.pay@1:nothing", "nothing", ""])
def test_unknown_key(desk: Desk, key: str) -> None:
    """There is nothing to settle."""
    assert False is desk.door.run(desk._resolve(key, "found"))


def test_done_call_stays_as_it_is(desk: Desk) -> None:
    """An outcome is not changed by hand."""
    value = desk.call()
    assert (False, value) == (desk.resolve("found"), desk.call())


def test_forgotten_call_is_unknown(desk: Desk) -> None:
    """Whoever forgot it wants it to run."""
    abandoned(desk)
    desk.door.run(desk.pay.forget(5))
    assert False is desk.resolve("found")


def test_value_that_cannot_be_recorded(desk: Desk) -> None:
    """It is refused, and nothing is settled."""
    abandoned(desk)
    with pytest.raises(ResultNotSerializableError, match="nothing has been settled"):
        desk.resolve(object())
    assert Situation.ABANDONED is desk.situation()


def test_key_is_forgotten_by_its_text(desk: Desk) -> None:
    """What is found not to have happened can run again."""
    abandoned(desk)
    assert [True, False] == [desk.forget(desk.key) for _ in "12"]
    assert [5, "", 1] == desk.call()


# ---------------------------------------------------------------------------- steps


class Shop:
    """A call whose step is in doubt: its process was stopped in the middle of it.

    Args:
        idem: Where it is guarded.
    """

    def __init__(self, idem: Idempotency) -> None:
        self.charged: list[int] = []

        def charge(amount: int) -> str:
            self.charged.append(amount)
            raise KeyboardInterrupt

        def pay(amount: int) -> list[str]:
            order = step("order", str, amount)
            return [order, step("charge", charge, amount, delivery="at_most_once")]

        self.pay = idem.idempotent(name="shop.pay")(pay)
        with pytest.raises(KeyboardInterrupt):
            self.pay(5)
        with pytest.raises(InDoubtError) as raised:
            self.pay(5)
        self.doubt = raised.value


def test_step_is_settled(desk: Desk) -> None:
    """The next attempt goes on after it."""
    shop = Shop(Idempotency(desk.door.memory))
    settled = desk.resolve("receipt", step=shop.doubt.step, key=shop.doubt.key)
    assert (True, ["5", "receipt"], [5]) == (settled, shop.pay(5), shop.charged)


def test_step_is_settled_once(desk: Desk) -> None:
    """What is written is not changed by hand."""
    shop = Shop(Idempotency(desk.door.memory))
    settled = [desk.resolve(text, step=shop.doubt.step, key=shop.doubt.key) for text in "ab"]
    assert ([True, False], ["5", "a"]) == (settled, shop.pay(5))


def test_effect_is_settled(desk: Desk) -> None:
    """A callback in doubt is a step like any other."""
    mail = side_effect(delivery="at_most_once")(Body(ConnectionError()).pay)
    pay = Idempotency(desk.door.memory).idempotent(name="shop.pay", effects=[mail])(repr)
    with pytest.raises(ConnectionError):
        pay(5)
    with pytest.raises(InDoubtError) as raised:
        pay(5)
    settled = desk.resolve(None, step=raised.value.step, key=raised.value.key)
    assert (True, "5") == (settled, pay(5))


@pytest.mark.parametrize("name", ["charge#1", "order#0", "nothing"])
def test_step_that_is_not_in_doubt(desk: Desk, name: str) -> None:
    """There is nothing to settle, and the call stays as it is."""
    shop = Shop(Idempotency(desk.door.memory))
    assert False is desk.resolve("receipt", step=name, key=shop.doubt.key)
    assert Situation.FAILED is desk.situation(shop.doubt.key)


# ---------------------------------------------------------------------------- stores


@pytest.fixture(params=["memory", "sqlite", "redis"])
def idem(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Idempotency]:
    """Return an `Idempotency` on each kind of store."""
    with ExitStack() as stack:
        if request.param == "redis":
            url = stack.enter_context(running(valkey_binary())).url
        else:
            url = {"memory": "memory://", "sqlite": f"sqlite:///{tmp_path}/records"}[request.param]
        yield stack.enter_context(Idempotency(url))


def test_call_is_settled_in_every_store(idem: Idempotency) -> None:
    """What it takes are the usual verbs."""
    pay = idem.idempotent(name="shop.pay")(Body(LookupError()).pay)
    with pytest.raises(LookupError):
        pay(5)
    assert (True, "found") == (idem.resolve(pay.key(5), "found"), pay(5))


def test_step_is_settled_in_every_store(idem: Idempotency) -> None:
    """The journal comes with the record wherever that is kept."""
    shop = Shop(idem)
    assert shop.doubt.key is not None
    settled = idem.resolve(shop.doubt.key, "receipt", step=shop.doubt.step)
    assert (True, ["5", "receipt"], [5]) == (settled, shop.pay(5), shop.charged)


# ---------------------------------------------------------------------------- in between


@pytest.mark.parametrize("trouble", [failed, abandoned])
def test_what_fails_halfway_is_as_before(desk: Desk, trouble: Callable[[Desk], None]) -> None:
    """The claim is given back, and the call is in doubt if it was."""
    trouble(desk)
    before = desk.situation()
    desk.door.store.suffer("complete", request_lost)
    with pytest.raises(StoreUnavailableError):
        desk.resolve("found")
    assert before is desk.situation()


def test_store_that_goes_away_halfway(desk: Desk) -> None:
    """What cannot be given back is in doubt when its lease ends, as it was."""
    abandoned(desk)
    for verb in ("complete", "release"):
        desk.door.store.suffer(verb, request_lost)
    with pytest.raises(StoreUnavailableError):
        desk.resolve("found")
    desk.door.clock.advance(31)
    assert Situation.ABANDONED is desk.situation()


def test_lost_reply_settles_all_the_same(desk: Desk) -> None:
    """Whoever tries again hears that it is done."""
    abandoned(desk)
    desk.door.store.suffer("complete", reply_lost)
    with pytest.raises(StoreUnavailableError):
        desk.resolve("found")
    assert (False, "found") == (desk.resolve("found"), desk.call())


def test_somebody_else_settles_first(desk: Desk) -> None:
    """Then that stands."""
    abandoned(desk)

    def settle() -> None:
        Idempotency(desk.door.memory).resolve(desk.key, "theirs")

    desk.door.store.suffer("peek", followed_by(settle))
    assert (False, "theirs") == (desk.resolve("ours"), desk.call())


def test_somebody_else_runs_first(desk: Desk) -> None:
    """Then its owner settles it."""
    failed(desk)

    def claim() -> None:
        address = desk.key.rpartition(":")[2]
        drive(desk.door.memory.claim(address, Claim(b"t" * 16, b"", Terms(lease=9000))))

    desk.door.store.suffer("peek", followed_by(claim))
    with pytest.raises(InProgressError):
        desk.resolve("found")


def test_whoever_settles_too_slowly_settles_nothing(desk: Desk) -> None:
    """A claim for the settlement has a lease too, and ends with it."""
    abandoned(desk)

    def settle() -> None:
        desk.door.clock.advance(31)
        Idempotency(desk.door.memory).resolve(desk.key, "theirs")

    desk.door.store.suffer("complete", preceded_by(settle))
    assert (False, "theirs") == (desk.resolve("ours"), desk.call())


def test_cancelled_settlement_is_as_before() -> None:
    """The claim is given back first."""

    async def scene(desk: Desk) -> None:
        store = desk.door.store
        store.suffer("complete", suspended_until(asyncio.Event()))
        task = asyncio.ensure_future(desk.door.idempotency.aresolve(desk.key, "found"))
        await reached(lambda: "complete" in store.sent)
        task.cancel()
        await asyncio.wait((task,))

    with asyncio.Runner() as runner:
        desk = Desk(runner)
        abandoned(desk)
        runner.run(scene(desk))
        assert Situation.ABANDONED is desk.situation()


def test_settlement_that_nobody_finishes() -> None:
    """A closed coroutine can give nothing back: the claim ends with its lease."""

    async def scene(desk: Desk) -> None:
        store = desk.door.store
        store.suffer("complete", suspended_until(asyncio.Event()))
        coroutine = desk.door.idempotency.aresolve(desk.key, "found")
        while "complete" not in store.sent:
            coroutine.send(None)
        coroutine.close()

    with asyncio.Runner() as runner:
        desk = Desk(runner)
        abandoned(desk)
        runner.run(scene(desk))
        assert (Situation.RUNNING, "release" in desk.door.store.sent) == (desk.situation(), False)
