"""What becomes of results: stores that are away, what cannot be kept, and steps inside steps."""

from collections.abc import Generator
from typing import Any

import pytest

from idemkit import (
    ResultNotSerializableError,
    ResultUnavailableError,
    ResultUnreadableError,
    StoreUnavailableError,
    current,
    step,
)
from idemkit.core.codecs import PickleCodec, TypedCodec
from idemkit.core.colour import drive
from idemkit.core.execution import Execution, current_execution
from idemkit.errors import StoreVersionError
from idemkit.testing.faults import raising, reply_lost, request_lost
from tests import commands
from tests.doors import Door
from tests.steps.scripts import (
    ONCE,
    Deeds,
    Order,
    Take,
    address_of,
    expire_within,
    fails,
    guarded,
    overtaken,
    record_of,
)

# --------------------------------------------------------------------- stores that are away


def test_lost_messages_cost_no_step(door: Door) -> None:
    """A message that is lost, there or back, is sent again."""
    door.store.suffer("step", request_lost, reply_lost, request_lost)
    order = guarded(door, Order(Deeds(), charge=ONCE).script)
    assert ["charge 1", "pack 1", "mail 1"] == door.run(order())


def test_step_is_not_taken_without_its_intent(door: Door) -> None:
    """A step that must not happen twice waits for its intent, and fails without it."""
    deeds = Deeds()

    def script() -> Generator[Take, Any, None]:
        expire_within(door)
        yield Take("charge", deeds.do, ("charge",), ONCE)

    door.store.suffer("step", request_lost)
    error = fails(door, guarded(door, script), StoreUnavailableError)
    assert ([], True) == (deeds.done, error.key is not None)


@pytest.mark.parametrize("problem", [StoreUnavailableError, StoreVersionError])
def test_value_is_kept_without_its_record(
    door: Door, problem: type[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    """What was done is done: the attempt goes on, and the log says what the next will not know."""

    def expire() -> str:
        expire_within(door)
        return "paid"

    def script() -> Generator[Take, Any, str]:
        done: str = yield Take("charge", expire)
        return done

    door.store.suffer("step", raising(problem("gone")))
    assert "paid" == door.run(guarded(door, script)())
    expected = "store 'memory' did not take the result of a step of shop.pay"
    assert [expected] == [line.getMessage().partition(" (")[0] for line in caplog.records]


def test_journal_is_healed_whole(door: Door) -> None:
    """A store that lost its memory is told again all that was done."""
    deeds = Deeds(mail=[ConnectionError()])

    def script() -> Generator[Take, Any, list[str]]:
        results = []
        for word in ("charge", "pack", "mail"):
            done = yield Take(word, deeds.do, (word,))
            results.append(done)
            if deeds.done == ["charge"]:
                door.store.lose_records()
        return results

    order = guarded(door, script)
    fails(door, order, ConnectionError)
    assert ["charge 1", "pack 1", "mail 2"] == door.run(order())


# -------------------------------------------------------------------------------- its results


def test_unserializable_result_is_told(door: Door) -> None:
    """A result that cannot be written down fails the attempt, and the step stays done."""
    deeds: list[object] = []

    def make() -> object:
        deeds.append(object())
        return deeds[-1]

    def script() -> Generator[Take, Any, None]:
        yield Take("make", make)

    call = guarded(door, script)
    told = fails(door, call, ResultNotSerializableError)
    again = fails(door, call, ResultUnavailableError)
    assert (1, call.key(), call.key()) == (len(deeds), told.key, again.key)
    assert "'make#0'" in str(told)


def test_oversized_result_is_not_kept(door: Door) -> None:
    """The attempt has its result; a later one is told that it was done and not kept."""
    deeds = Deeds(mail=[ConnectionError()])
    seen: list[int] = []

    def script() -> Generator[Take, Any, None]:
        seen.append(len((yield Take("fetch", bytes, (100,)))))
        yield Take("mail", deeds.do, ("mail",))

    call = guarded(door, script, max_bytes=50)
    fails(door, call, ConnectionError)
    assert "fetch#0" in str(fails(door, call, ResultUnavailableError))
    assert [100] == seen


@pytest.mark.parametrize(
    ("codec", "body", "why"),
    [(PickleCodec.name, b"", "was written by codec"), (TypedCodec.name, b"\x00", "cannot be read")],
    ids=["another codec", "garbage"],
)
def test_unreadable_result_is_told(door: Door, codec: str, body: bytes, why: str) -> None:
    """What another release or codec wrote is not taken for something else."""
    deeds = Deeds(mail=[ConnectionError()])
    order = guarded(door, Order(deeds).script)
    fails(door, order, ConnectionError)
    owned = overtaken(door, order)
    first, *_ = record_of(door, order).journal
    damaged = first._replace(codec=codec, body=body)
    drive(door.memory.step(address_of(order), commands.step(owned, damaged)))
    drive(door.memory.release(address_of(order), commands.release(owned)))
    error = fails(door, order, ResultUnreadableError)
    assert (True, order.key()) == (why in str(error), error.key)


# --------------------------------------------------------------------------------- what it costs


def test_call_without_steps_has_no_journal(door: Door) -> None:
    """Whoever takes no step sends none, and makes nothing to write it in."""
    running: list[Execution | None] = []
    pay = door.guard(lambda: running.append(current_execution()))
    door.run(pay())
    (execution,) = running
    assert (None, 0) == (execution and execution._journal, door.store.sent.count("step"))


@pytest.mark.parametrize(("options", "sent"), [({}, 1), (ONCE, 2)], ids=["result", "intent"])
def test_step_costs_its_writes(door: Door, options: dict[str, Any], sent: int) -> None:
    """A result is one message, an intent one more."""

    def script() -> Generator[Take, Any, None]:
        yield Take("charge", str, (5,), options)

    door.run(guarded(door, script)())
    assert sent == door.store.sent.count("step")


def test_step_of_a_replayed_outcome_is_suppressed(door: Door) -> None:
    """Where the outcome comes from elsewhere nothing may happen again."""
    deeds = Deeds()

    def script() -> Generator[Take, Any, object]:
        execution = current_execution()
        assert execution is not None
        execution.replayed = True
        done: object = yield Take("charge", deeds.do, ("charge",))
        return done

    assert (None, []) == (door.run(guarded(door, script)()), deeds.done)


# ------------------------------------------------------------------------- steps within steps


def test_step_inside_a_step_is_a_part_of_it(door: Door) -> None:
    """Only the outer one is written down, so only the outer one is skipped or done again."""
    deeds = Deeds(inner=[ConnectionError()])

    def outer() -> str:
        return deeds.do("outer") + step("inner", deeds.do, "inner")

    def script() -> Generator[Take, Any, str]:
        done: str = yield Take("outer", outer)
        return done

    call = guarded(door, script)
    fails(door, call, ConnectionError)
    assert ("outer 2inner 2", 1) == (door.run(call()), door.store.sent.count("step"))


def test_guarded_call_inside_a_step_has_a_journal_of_its_own(door: Door) -> None:
    """What an inner call has done is known to the inner call."""
    deeds = Deeds(outer=[ConnectionError()], inner=[ConnectionError()])
    plain = Door(None)

    @plain.idempotency.idempotent(name="inner")
    def inner() -> str:
        return step("charge", deeds.do, "charge") + step("inner", deeds.do, "inner")

    def script() -> Generator[Take, Any, str]:
        done: str = yield Take("inner", inner)
        yield Take("outer", deeds.do, ("outer",))
        return done

    call = guarded(door, script)
    for _ in range(2):
        fails(door, call, ConnectionError)
    assert ("charge 1inner 2", 1) == (door.run(call()), deeds.done.count("charge"))


def test_step_after_a_step_that_raised_is_written_down(door: Door) -> None:
    """What comes after a step is no part of it, however that one ended."""
    deeds = Deeds(charge=[LookupError(), LookupError()], mail=[ConnectionError()])

    def script() -> Generator[Take, Any, str]:
        with pytest.raises(LookupError):
            yield Take("charge", deeds.do, ("charge",))
        done: str = yield Take("pack", deeds.do, ("pack",))
        yield Take("mail", deeds.do, ("mail",))
        return done

    call = guarded(door, script)
    fails(door, call, ConnectionError)
    assert "pack 1" == door.run(call())


def test_key_for_a_provider_is_the_same_in_every_attempt(door: Door) -> None:
    """A provider that knows idempotency keys does a step once, and other steps beside it."""
    keys: list[str] = []

    def body() -> None:
        call = current()
        assert call is not None
        keys.extend(call.idempotency_key_for(name) for name in ("charge", "mail"))
        if len(keys) == 2:
            raise ConnectionError

    call = door.guard(body)
    with pytest.raises(ConnectionError):
        door.run(call())
    door.run(call())
    assert (keys[:2], 2, {32}) == (keys[2:], len(set(keys)), {len(key) for key in keys})
