"""Steps of guarded calls: what is done is skipped, whatever became of the attempt that did it."""

from collections.abc import Generator
from typing import Any

import pytest

from idemkit import (
    Done,
    InDoubtError,
    NonDeterministicStepError,
    NotDone,
    StoreUnavailableError,
    Unknown,
)
from idemkit.testing.faults import Mishap, reply_lost, request_lost
from tests.doors import Door
from tests.steps.scripts import ONCE, Deeds, Order, Take, expire_within, fails, guarded, record_of

# ---------------------------------------------------------------------- what is done is done


def test_done_steps_are_skipped_after_a_failure(door: Door) -> None:
    """A retry gets the recorded results and goes on where the attempt before failed."""
    deeds = Deeds(mail=[ConnectionError()])
    order = guarded(door, Order(deeds).script)
    fails(door, order, ConnectionError)
    assert ["charge 1", "pack 1", "mail 2"] == door.run(order())
    assert ["charge", "pack", "mail", "mail"] == deeds.done


def test_done_steps_are_skipped_after_a_takeover(door: Door) -> None:
    """Whoever takes over a vanished owner does not do again what that one has done."""
    deeds = Deeds(mail=[KeyboardInterrupt()])
    order = guarded(door, Order(deeds).script)
    door.store.suffer("release", *[request_lost] * 9)
    fails(door, order, KeyboardInterrupt)
    door.clock.advance(31)
    outcome = door.run(order.outcome())
    assert (["charge 1", "pack 1", "mail 2"], "recovered") == (outcome.value, outcome.kind)


def test_journal_is_gone_when_the_call_is_done(door: Door) -> None:
    """A call that was forgotten takes its steps again."""
    deeds = Deeds()
    order = guarded(door, Order(deeds).script)
    door.run(order())
    door.run(order.forget())
    assert ["charge 2", "pack 2", "mail 2"] == door.run(order())


def test_replay_takes_no_steps(door: Door) -> None:
    """A duplicate gets the call's own outcome, and nothing happens."""
    deeds = Deeds()
    order = guarded(door, Order(deeds).script)
    assert door.run(order()) == door.run(order())
    assert ["charge", "pack", "mail"] == deeds.done


def test_result_comes_back_as_it_was(door: Door) -> None:
    """What a retry gets is of the type that the annotation names, and a copy of its own."""
    failures: list[BaseException] = [ConnectionError()]
    results: list[Any] = []

    def embed() -> dict[str, tuple[int, ...]]:
        return {"vector": (1, 2)}

    def script() -> Generator[Take, Any, None]:
        results.append((yield Take("embed", embed)))
        yield Take("mail", Deeds(mail=failures).do, ("mail",))

    answer = guarded(door, script)
    fails(door, answer, ConnectionError)
    door.run(answer())
    assert ([{"vector": (1, 2)}] * 2, False) == (results, results[0] is results[1])


def test_steps_of_one_name_are_counted(door: Door) -> None:
    """The second step of a name is another step."""
    deeds = Deeds(last=[ConnectionError()])

    def script() -> Generator[Take, Any, list[str]]:
        first = yield Take("mail", deeds.do, ("mail",))
        second = yield Take("mail", deeds.do, ("mail",))
        yield Take("last", deeds.do, ("last",))
        return [first, second]

    send = guarded(door, script)
    fails(door, send, ConnectionError)
    assert ["mail 1", "mail 2"] == door.run(send())


def test_steps_of_another_order_have_keys(door: Door) -> None:
    """With keys of their own, steps may come in any order."""
    deeds = Deeds(last=[ConnectionError()])
    orders = [["ada", "bob"], ["bob", "ada"]]

    def script() -> Generator[Take, Any, list[str]]:
        results = []
        for name in orders.pop(0):
            done = yield Take("mail", deeds.do, (name,), {"key": name})
            results.append(done)
        yield Take("last", deeds.do, ("last",))
        return results

    send = guarded(door, script)
    fails(door, send, ConnectionError)
    assert ["bob 1", "ada 1"] == door.run(send())


def test_key_never_goes_to_the_store(door: Door) -> None:
    """A key may be a name or an address; the store gets a digest."""
    written: list[str] = []

    def look() -> None:
        written.append(repr(record_of(door, send).journal))

    def script() -> Generator[Take, Any, None]:
        yield Take("mail", len, ("text",), {"key": "ada@example.org"})
        look()

    send = guarded(door, script)
    door.run(send())
    assert (True, False) == ("mail:" in written[0], "ada@" in written[0])


def test_other_arguments_are_refused(door: Door) -> None:
    """A step that comes with other arguments than before is not the step that was done."""
    amounts = [5, 6]
    deeds = Deeds(mail=[ConnectionError()])

    def script() -> Generator[Take, Any, None]:
        yield Take("charge", str, (amounts.pop(0),))
        yield Take("mail", deeds.do, ("mail",))

    pay = guarded(door, script)
    fails(door, pay, ConnectionError)
    error = fails(door, pay, NonDeterministicStepError)
    assert ("key=..." in str(error), pay.key()) == (True, error.key)


def test_failed_step_may_come_with_other_arguments(door: Door) -> None:
    """Nothing is written of a step that raised, unless it must not happen twice."""
    deeds = Deeds(first=[ConnectionError()])
    words = ["first", "second"]

    def script() -> Generator[Take, Any, str]:
        done: str = yield Take("charge", deeds.do, (words.pop(0),))
        return done

    pay = guarded(door, script)
    fails(door, pay, ConnectionError)
    assert "second 1" == door.run(pay())


def test_client_among_the_arguments_is_another_each_time(door: Door) -> None:
    """What has no canonical form, a client or a session, counts by its class."""
    deeds = Deeds(mail=[ConnectionError()])

    def script() -> Generator[Take, Any, None]:
        yield Take("charge", lambda _client, amount: amount, (object(), 5))
        yield Take("mail", deeds.do, ("mail",))

    pay = guarded(door, script)
    fails(door, pay, ConnectionError)
    assert None is door.run(pay())


# ------------------------------------------------------------------------------ at most once


def test_raising_step_is_in_doubt(door: Door) -> None:
    """A step that must not happen twice, and raised, may have happened."""
    deeds = Deeds(pack=[ConnectionError()])
    order = guarded(door, Order(deeds, pack=ONCE).script)
    fails(door, order, ConnectionError)
    error = fails(door, order, InDoubtError)
    assert ("pack#0", order.key(), ["charge", "pack"]) == (error.step, error.key, deeds.done)


def test_step_stays_in_doubt(door: Door) -> None:
    """However often it is asked for, it is not taken."""
    deeds = Deeds(pack=[ConnectionError()])
    order = guarded(door, Order(deeds, pack=ONCE).script)
    fails(door, order, ConnectionError)
    assert 1 == len({fails(door, order, InDoubtError).step for _ in range(3)})


def test_careful_step_is_taken_once(door: Door) -> None:
    """A step that came to its end is done, like any other."""
    deeds = Deeds(mail=[ConnectionError()])
    order = guarded(door, Order(deeds, charge=ONCE).script)
    fails(door, order, ConnectionError)
    assert ["charge 1", "pack 1", "mail 2"] == door.run(order())


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [(Done("packed by hand"), "packed by hand"), (NotDone, "pack 2")],
    ids=["done", "not done"],
)
def test_hook_finds_out(door: Door, verdict: object, expected: str) -> None:
    """The other side may know whether a step in doubt has happened."""
    deeds = Deeds(pack=[ConnectionError()])
    asked: list[tuple[object, ...]] = []

    def reconcile(call: Any) -> object:
        asked.append((call.key, call.args))
        return verdict

    hook = {"reconcile": door.tinted(reconcile)}
    order = guarded(door, Order(deeds, pack=ONCE | hook).script)
    fails(door, order, ConnectionError)
    assert ["charge 1", expected, "mail 1"] == door.run(order())
    assert [(order.key(), ("pack",))] == asked


def test_what_the_hook_found_is_written_down(door: Door) -> None:
    """The next attempt need not ask again."""
    answers = [Done("by hand")]
    hook = {"reconcile": lambda _: answers.pop()}
    deeds = Deeds(pack=[ConnectionError()], mail=[ConnectionError()])
    order = guarded(door, Order(deeds, pack=ONCE | hook).script)
    for _ in range(2):
        fails(door, order, ConnectionError)
    assert (["charge 1", "by hand", "mail 2"], []) == (door.run(order()), answers)


def test_hook_that_cannot_tell_leaves_the_doubt(door: Door) -> None:
    """Then a person must."""
    deeds = Deeds(pack=[ConnectionError()])
    order = guarded(door, Order(deeds, pack=ONCE | {"reconcile": lambda _: Unknown}).script)
    fails(door, order, ConnectionError)
    assert "pack#0" == fails(door, order, InDoubtError).step


def test_hook_that_answers_nonsense_is_refused(door: Door) -> None:
    """No verdict is guessed from another value."""
    deeds = Deeds(pack=[ConnectionError()])
    order = guarded(door, Order(deeds, pack=ONCE | {"reconcile": lambda _: True}).script)
    fails(door, order, ConnectionError)
    assert "Done(value), NotDone or Unknown" in str(fails(door, order, TypeError))


REFUSALS = {
    "counted": ONCE,
    "with a key": ONCE | {"key": "five"},
    "at least once": {},
}


@pytest.mark.parametrize("mishap", [request_lost, reply_lost])
@pytest.mark.parametrize("options", REFUSALS.values(), ids=REFUSALS)
def test_step_that_was_not_begun_may_be_taken(
    door: Door, options: dict[str, Any], mishap: Mishap
) -> None:
    """An attempt that could not write its intent knows that nothing happened, and tries again."""
    deeds = Deeds(mail=[ConnectionError()])

    def script() -> Generator[Take, Any, str]:
        charge = Take("charge", deeds.do, ("charge",), options)
        if not deeds.done:
            expire_within(door)
            door.store.suffer("step", mishap)
            with pytest.raises(StoreUnavailableError):
                yield charge
        done: str = yield charge
        yield Take("mail", deeds.do, ("mail",))
        return done

    pay = guarded(door, script)
    fails(door, pay, ConnectionError)
    assert ("charge 1", ["charge", "mail", "mail"]) == (door.run(pay()), deeds.done)


def test_doubt_is_not_evaded_by_asking_again(door: Door) -> None:
    """A body that catches the error and tries again does not take another step of that name."""
    deeds = Deeds(charge=[ConnectionError()])

    def script() -> Generator[Take, Any, None]:
        charge = Take("charge", deeds.do, ("charge",), ONCE)
        if deeds.done:
            with pytest.raises(InDoubtError):
                yield charge
        yield charge

    pay = guarded(door, script)
    fails(door, pay, ConnectionError)
    assert "charge#0" == fails(door, pay, InDoubtError).step
    assert ["charge"] == deeds.done


def test_delivery_may_be_relaxed(door: Door) -> None:
    """Who has decided that twice is better than not at all gets a step out of doubt."""
    deeds = Deeds(pack=[ConnectionError()])
    order = Order(deeds, pack=ONCE)
    call = guarded(door, order.script)
    fails(door, call, ConnectionError)
    order.options.clear()
    assert ["charge 1", "pack 2", "mail 1"] == door.run(call())
