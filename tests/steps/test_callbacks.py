"""Effects of a call: each called once per key, whatever becomes of the attempts."""

import asyncio
from typing import Any

import pytest

from idemkit import Idempotency, InDoubtError, NotDone, side_effect
from tests.doors import Body, Door
from tests.steps.scripts import Deeds, fails


class Told:
    """Effects that note what they are told, and fail where told to.

    Args:
        failures: What the effect of each name raises the next times.
    """

    def __init__(self, **failures: list[BaseException]) -> None:
        self.deeds = Deeds(**failures)
        self.results: list[object] = []

    def mail(self, result: object) -> object:
        """Mail somebody."""
        self.results.append(result)
        self.deeds.do("mail")
        return object()  # which nobody could write down

    def audit(self, result: object) -> None:
        """Write into the books."""
        self.results.append(result)
        self.deeds.do("audit")


def test_failing_effect_fails_the_call_and_a_retry_runs_what_is_missing(door: Door) -> None:
    """Effects that are done are done, and the others follow."""
    told = Told(audit=[ConnectionError()])
    pay = door.guard(lambda: "paid", effects=[told.mail, told.audit])
    fails(door, pay, ConnectionError)
    assert ("paid", ["mail", "audit", "audit"]) == (door.run(pay()), told.deeds.done)


def test_effect_that_is_done_is_so_whatever_the_result(door: Door) -> None:
    """A later attempt may have another result, and the callback has had one."""
    told = Told(audit=[ConnectionError()])
    body = Body()
    pay = door.guard(lambda: body.pay(5), effects=[told.mail, told.audit])
    fails(door, pay, ConnectionError)
    assert [5, "", 2] == door.run(pay())
    assert [[5, "", 1], [5, "", 1], [5, "", 2]] == told.results


def test_one_callback_at_two_places_is_two_effects(door: Door) -> None:
    """Effects are told apart by their places."""
    told = Told()
    door.run(door.guard(lambda: "paid", effects=[told.mail, told.mail])())
    assert ["mail", "mail"] == told.deeds.done


def test_replay_has_no_effects(door: Door) -> None:
    """A duplicate tells nobody."""
    told = Told()
    pay = door.guard(lambda: "paid", effects=[told.mail])
    assert ["paid"] * 3 == [door.run(pay()) for _ in range(3)]
    assert ["mail"] == told.deeds.done


async def test_whoever_joins_has_no_effects() -> None:
    """Of many callers at once, one runs, and so its effects happen once."""
    told: list[object] = []

    @Idempotency("memory://").idempotent(effects=[told.append])
    async def pay() -> str:
        await asyncio.sleep(0.01)
        return "paid"

    assert ["paid"] * 5 == await asyncio.gather(*[pay() for _ in range(5)])
    assert ["paid"] == told


def test_nested_calls_have_their_effects_once(door: Door) -> None:
    """An outer call that fails does not repeat the effects of an inner one, however deep."""
    told = Told(audit=[ConnectionError()])
    plain = Door(None)
    innermost = plain.guard(lambda: "paid", name="innermost", effects=[told.mail])
    inner = plain.guard(innermost, name="inner", effects=[told.mail])
    outer = door.guard(inner, name="outer", effects=[told.mail, told.audit])
    fails(door, outer, ConnectionError)
    assert ["paid"] * 2 == [door.run(outer()) for _ in range(2)]
    assert ["mail"] * 3 + ["audit"] * 2 == told.deeds.done


def test_side_effect_may_be_an_effect(door: Door) -> None:
    """What is marked is the same step here, not one more inside it."""
    told = Told(audit=[ConnectionError()])
    pay = door.guard(lambda: "paid", effects=[side_effect(told.mail), told.audit])
    fails(door, pay, ConnectionError)
    assert ("paid", ["mail", "audit", "audit"]) == (door.run(pay()), told.deeds.done)


def test_careful_side_effect_is_so_as_an_effect(door: Door) -> None:
    """One that must not happen twice, and raised, is in doubt."""
    told = Told(mail=[ConnectionError()])
    mail = side_effect(delivery="at_most_once")(told.mail)
    pay = door.guard(lambda: "paid", effects=[mail])
    fails(door, pay, ConnectionError)
    error = fails(door, pay, InDoubtError)
    assert ("effects[0] Told.mail#0", ["mail"]) == (error.step, told.deeds.done)


def test_careful_side_effect_asks_its_hook_as_an_effect(door: Door) -> None:
    """Its reconcile hook is asked with the result that it was to be told."""
    told = Told(mail=[ConnectionError()])
    asked: list[object] = []

    def reconcile(call: Any) -> object:
        asked.append(call.args)
        return NotDone

    mail = side_effect(delivery="at_most_once", reconcile=reconcile)(told.mail)
    pay = door.guard(lambda: "paid", effects=[mail])
    fails(door, pay, ConnectionError)
    assert ("paid", [("paid",)]) == (door.run(pay()), asked)


def test_callable_object_may_be_an_effect(door: Door) -> None:
    """Whatever can be called can be told."""

    class Ledger(list[object]):
        def __call__(self, result: object) -> None:
            self.append(result)

    ledger = Ledger()
    pay = door.guard(lambda: "paid", effects=[ledger])
    assert (["paid"] * 2, ["paid"]) == ([door.run(pay()), door.run(pay())], ledger)


def test_effect_that_returns_something_to_await_is_refused() -> None:
    """Nobody would await it where the call is synchronous."""
    pay = Door(None).guard(lambda: "paid", effects=[lambda _: asyncio.sleep(0)])
    with pytest.raises(TypeError, match="something to await"):
        pay()
