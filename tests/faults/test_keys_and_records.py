"""Keys that come again, records nobody can read, results nobody can keep, calls inside calls."""

import asyncio
import functools
import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from idemkit import (
    KeyReusedError,
    PoisonedError,
    RecordedError,
    ReentrantCallError,
    ResultNotSerializableError,
    ResultUnavailableError,
    ResultUnreadableError,
    StoreVersionError,
)
from idemkit.core.colour import drive
from idemkit.protocol import Kind
from idemkit.testing.faults import preceded_by
from tests.commands import completion
from tests.faults.bodies import Runs, charge, noting, stopping
from tests.faults.children import child
from tests.faults.scene import LEASE, Far, Scene, Served, address_of
from tests.gauntlet.crowds import DEADLINE, Caller, Pause, at_once
from tests.gauntlet.moments import listening

CROWD = 64

# A record as version 1 writes it, field by field.
PINNED = {
    "fv": "1",
    "st": "D",
    "tk": "owner-owner-1234",
    "fp": "",
    "ep": "1700000000000",
    "at": "3",
    "ab": "0",
    "lx": "1700000030000",
    "xp": "1700000090000",
    "oa": "3",
    "oc": "1700000001000",
    "of": "1700000060000",
    "og": "1700000090000",
    "oh": '["value","idemkit","00-ab-cd-01"]',
    "ov": b"\x10\xa4paid",
}


def keyed(scene: Scene, body: Callable[..., Any]) -> Any:
    """Guard a body whose key is its order, and whose payload is all the rest."""
    return charge(scene.application(), body, key=["order"])


def test_37_key_reused_while_running(scene: Scene) -> None:
    """A key that comes with another payload while its call runs neither waits nor replays."""
    pause = Pause()

    def body(order: str, amount: int) -> str:
        pause.here()
        return f"{order} {amount}"

    owner = Caller(functools.partial(keyed(scene, body), "a", 7))
    pause.reached()
    other = keyed(scene, body)
    with pytest.raises(KeyReusedError) as caught:
        other("a", 8)
    pause.end()
    assert ("a 7", other.key("a", 8)) == (owner.result(), caught.value.key)


def test_37_key_reused_when_done(scene: Scene) -> None:
    """Nor does it when its call is done; the first payload goes on replaying."""
    work = keyed(scene, lambda order, amount: f"{order} {amount}")
    work("a", 7)
    with pytest.raises(KeyReusedError):
        work("a", 8)
    assert ("a 7", "replayed") == (work("a", 7), work.outcome("a", 7).kind)


def test_38_other_tenant_or_route_is_independent(scene: Scene) -> None:
    """The same key in another namespace, of another operation or version is another call."""

    def body(order: str) -> str:
        runs.append(order)
        return f"{order} {len(runs)}"

    runs: list[str] = []
    apps = [scene.application(namespace=tenant) for tenant in ("acme", "globex")]
    calls = [app.idempotent(name=name)(body) for app in apps for name in ("charge", "refund")]
    calls.append(apps[0].idempotent(name="charge", version=2)(body))
    first, second = ([call("a") for call in calls] for _ in range(2))
    assert (["a 1", "a 2", "a 3", "a 4", "a 5"], first) == (first, second)


def test_39_record_of_an_older_version_is_read(served: Served) -> None:
    """The bytes that version 1 wrote replay, whatever version reads them."""
    runs = Runs()
    work = charge(served.application(), noting(runs))
    write(served, work, PINNED)
    outcome = work.outcome(7)
    assert ("paid", "replayed", 3, "00-ab-cd-01", []) == (
        outcome.value,
        outcome.kind,
        outcome.attempt,
        outcome.origin,
        runs.attempts,
    )


def test_39_record_of_this_version_is_pinned(served: Served) -> None:
    """This version writes the bytes that later ones will have to read."""
    work = charge(served.application(), noting(Runs()))
    work(7)
    with served.server.client(decode_responses=False) as client:
        written: Any = client.hgetall(served.place_of(work, 7))
    assert {name.encode() for name in PINNED} == set(written)
    assert (PINNED["fv"], PINNED["ov"]) == (written[b"fv"].decode(), written[b"ov"])


def test_39_record_of_a_newer_version_is_refused(served: Served) -> None:
    """A record that a newer release wrote is an error that says so, and nothing runs."""
    runs = Runs()
    work = charge(served.application(), noting(runs))
    write(served, work, PINNED | {"fv": "2"})
    with pytest.raises(StoreVersionError, match="format 2, which a newer release"):
        work(7)
    assert [] == runs.attempts


def test_39_value_of_a_newer_version_is_refused(served: Served) -> None:
    """So is a value in a newer form."""
    runs = Runs()
    work = charge(served.application(), noting(runs))
    write(served, work, PINNED | {"ov": b"\x20\xa4paid"})
    with pytest.raises(ResultUnreadableError, match="newer idemkit"):
        work(7)
    assert [] == runs.attempts


def write(served: Served, work: Any, fields: dict[str, Any]) -> None:
    """Write the record of a call, field by field."""
    flat = itertools.chain.from_iterable(fields.items())
    served.server.do("HSET", served.place_of(work, 7), *flat)


def test_40_undecodable_record_names_the_way_out(scene: Scene) -> None:
    """Bytes that cannot be read are an error with the key and `forget` in it, each time."""
    runs = Runs()
    work = charge(scene.application(), noting(runs))
    record(scene, work, codec="idemkit", body=b"\xff damaged")
    for _ in range(2):
        with pytest.raises(ResultUnreadableError, match=r"\.forget\(\).*\[key charge@1:") as caught:
            work(7)
    assert (work.key(7), []) == (caught.value.key, runs.attempts)


def test_40_forgotten_undecodable_record_runs_again(scene: Scene) -> None:
    """And that way out is one."""
    work = charge(scene.application(), noting(Runs()))
    record(scene, work, codec="idemkit", body=b"\xff damaged")
    work.forget(7)
    assert "executed" == work.outcome(7).kind


def test_40_record_of_another_codec_is_not_guessed_at(scene: Scene) -> None:
    """A record that another codec wrote is not read as if it were this one's."""
    work = charge(scene.application(), noting(Runs()))
    record(scene, work, codec="pickle", body=b"\x10\xa4paid")
    with pytest.raises(ResultUnreadableError, match="by codec 'pickle', not 'idemkit'"):
        work(7)


def record(scene: Scene, work: Any, *, codec: str, body: bytes) -> None:
    """Record an outcome in some bytes for a call."""
    command = completion(scene.vanish(work, 7), body, codec=codec, kind=Kind.VALUE)
    drive(scene.store.complete(address_of(work, 7), command))


def test_41_body_that_kills_its_process_every_time_is_poison(scene: Scene) -> None:
    """After five abandoned attempts in a row nobody runs a call any more, until it is forgotten."""
    runs = Runs()
    work = charge(scene.application(), noting(runs))
    for token in (b"1", b"2", b"3", b"4", b"5"):
        scene.vanish(work, 7, token=token)
        scene.clock.advance(LEASE)
    with pytest.raises(PoisonedError, match=r"5 attempts .* call \.forget\(\)"):
        work(7)
    work.forget(7)
    assert ("paid", [1]) == (work(7), runs.attempts)


def test_41_four_abandoned_attempts_are_no_poison(scene: Scene) -> None:
    """The fifth attempt still runs, and an ordinary exception ends the row."""
    attempts: list[int] = []

    def body(amount: int) -> str:
        attempts.append(amount)
        if len(attempts) == 1:
            raise ConnectionError("the provider is down")
        return "paid"

    work = charge(scene.application(), body)
    for row in range(2):
        for number in range(4):
            scene.vanish(work, 7, token=b"%d %d" % (row, number))
            scene.clock.advance(LEASE)
        if row == 0:
            with pytest.raises(ConnectionError):
                work(7)
    assert "paid" == work(7)


def test_41_real_body_that_kills_its_process(far: Far) -> None:
    """Processes that really die count as well."""
    work = charge(far.application(max_attempts=2), noting(Runs()))
    for _ in range(2):
        with child("die_after_claim", **far.stage(now=far.clock.milliseconds())) as dying:
            assert 9 == dying.ended()
        far.clock.advance(LEASE)
    with pytest.raises(PoisonedError, match="2 attempts"):
        work(7)


def test_42_oversized_result(scene: Scene) -> None:
    """A result that is too large goes to the first caller; duplicates hear that it was not kept."""
    runs = Runs()
    work = charge(scene.application(max_bytes=100), noting(runs, "x" * 101))
    outcome = work.outcome(7)
    with pytest.raises(ResultUnavailableError, match="oversized"):
        work(7)
    assert ("x" * 101, False, [1]) == (outcome.value, outcome.recorded, runs.attempts)


def test_43_codec_that_fails_after_the_effect(scene: Scene) -> None:
    """A result that cannot become bytes is an error for everybody, and runs once all the same."""
    runs = Runs()

    def body(amount: int) -> object:
        del amount
        runs.note()
        return threading.Lock()

    work = charge(scene.application(), body)
    with pytest.raises(ResultNotSerializableError, match=r"charge \(_thread.lock\)"):
        work(7)
    with pytest.raises(ResultUnavailableError, match="unserializable"):
        work(7)
    assert [1] == runs.attempts


class DeclinedError(Exception):
    """Has required arguments, as the exceptions of API clients have."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


def test_44_exception_with_required_arguments(scene: Scene) -> None:
    """An exception that cannot be built again replays as its type's name and its text."""
    runs = Runs()

    def body(amount: int) -> None:
        del amount
        runs.note()
        raise DeclinedError("no funds", status=402)

    work = charge(scene.application(), body, record_errors=[DeclinedError])
    with pytest.raises(DeclinedError):
        work(7)
    with pytest.raises(RecordedError) as caught:
        work(7)
    assert (f"{__name__}.DeclinedError", "no funds", [1]) == (
        caught.value.type_name,
        caught.value.text,
        runs.attempts,
    )


def test_45_ttl_that_ends_before_a_waiter_reads(scene: Scene) -> None:
    """A waiter that finds the outcome expired claims and runs, as any new caller would."""
    pause, store, runs = Pause(), scene.faulty(), Runs()
    work = charge(scene.application(), stopping(pause, "expired"), ttl=60)
    owner = Caller(lambda: work(7))
    pause.reached()
    waiting = charge(scene.application(store), noting(runs, "fresh"))
    waiter = Caller(lambda: waiting.outcome(7))
    listening(store)
    store.suffer("claim", preceded_by(functools.partial(scene.clock.advance, 60)))
    pause.end()
    outcome = waiter.result()
    assert ("expired", "fresh", "executed", [1]) == (
        owner.result(),
        outcome.value,
        outcome.kind,
        runs.attempts,
    )


def test_46_reentrant_function(scene: Scene) -> None:
    """A call inside its own execution is refused at once; inside another's it is not."""

    def body(amount: int) -> int:
        return amount if amount == 0 else work(amount - 1) + amount

    def self_call(amount: int) -> None:
        again(amount)

    idem = scene.application()
    work, again = charge(idem, body), idem.idempotent(name="again")(self_call)
    with pytest.raises(ReentrantCallError, match="inside its own execution"):
        again(7)
    assert 6 == work(3)


async def test_46_reentrant_coroutine(scene: Scene) -> None:
    """Likewise where a task calls, and where the task that it started does."""

    async def body(amount: int) -> int:
        return amount if amount == 0 else await asyncio.create_task(work(amount - 1)) + amount

    async def self_call(amount: int) -> None:
        await asyncio.create_task(again(amount))

    idem = scene.application()
    work, again = charge(idem, body), idem.idempotent(name="again")(self_call)
    async with asyncio.timeout(DEADLINE):
        with pytest.raises(ReentrantCallError, match="inside its own execution"):
            await again(7)
        assert 6 == await work(3)


def test_47_keys_of_any_characters_and_length(scene: Scene) -> None:
    """Braces, NUL, line ends, lone surrogates, a megabyte: every text is a key of its own."""
    texts = ["{a}", "{a}b", "{", "a", "a\0", "\0", "", " ", "a\r\nb", "\ud800", "é", "e\u0301"]
    texts += ["x" * 1_000_000, "x" * 1_000_001]
    numbers = itertools.count()
    work = charge(scene.application(), lambda text: (next(numbers), len(text)))
    first, second = ([work(text) for text in texts] for _ in range(2))
    assert (list(enumerate(map(len, texts))), first) == (first, second)


@pytest.mark.parametrize("falsy", [None, 0, 0.0, "", b"", [], {}, (), set(), False], ids=repr)
def test_48_falsy_result_replays_as_itself(scene: Scene, falsy: Any) -> None:
    """A result that is false in a boolean context is a result like any other."""
    runs = Runs()

    def body(amount: int) -> Any:
        del amount
        runs.note()
        return falsy

    work = charge(scene.application(), body)
    work(7)
    outcome = work.outcome(7)
    assert (falsy, type(falsy), "replayed", [1]) == (
        outcome.value,
        type(outcome.value),
        outcome.kind,
        runs.attempts,
    )


def test_49_functions_of_all_kinds_are_operations_of_their_own(scene: Scene) -> None:
    """What is called alike but is not the same never shares a result."""
    idem = scene.application()

    @idem.idempotent
    def answer(number: int) -> str:
        return f"function {number}"

    @dataclass(frozen=True)
    class Oracle:
        name: str = "delphi"

        @idem.idempotent
        def answer(self, number: int) -> str:
            return f"method {self.name} {number}"

        @idem.idempotent
        @classmethod
        def answer_for_class(cls, number: int) -> str:
            return f"classmethod {cls.__name__} {number}"

        @idem.idempotent
        @staticmethod
        def answer_for_nobody(number: int) -> str:
            return f"staticmethod {number}"

    class Sibyl(Oracle):
        pass

    def traced(function: Callable[..., Any], how: str) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapper(*args: Any) -> str:
            return f"{how} {function(*args)}"

        return wrapper

    def plain(how: str, number: int) -> str:
        return f"{how} {number}"

    def other(number: int) -> str:
        return f"other {number}"

    calls = {
        "function 7": answer,
        "method delphi 7": Oracle().answer,
        "method dodona 7": Oracle("dodona").answer,
        "classmethod Oracle 7": Oracle.answer_for_class,
        "classmethod Sibyl 7": Sibyl.answer_for_class,
        "staticmethod 7": Oracle.answer_for_nobody,
        "partial 7": idem.idempotent(functools.partial(plain, "partial")),
        "wrapped other 7": idem.idempotent(traced(other, "wrapped")),
        "lambda 7": idem.idempotent(name="lambda")(lambda number: f"lambda {number}"),
    }
    came = [{name: call(7) for name, call in calls.items()} for _ in range(2)]
    assert [{name: name for name in calls}] * 2 == came


def test_49_lambdas_need_names(scene: Scene) -> None:
    """Two lambdas of one scope would share a name, and so are refused at decoration."""
    idem = scene.application()
    first = idem.idempotent(lambda number: f"first {number}")
    with pytest.raises(ValueError, match="would share the name"):
        idem.idempotent(lambda number: f"second {number}")
    assert "first 7" == first(7)


def test_50_nested_calls_do_not_deadlock(scene: Scene) -> None:
    """64 threads at once finish a sync call around an async one around a sync one."""
    inside = threading.Barrier(CROWD)
    idem = scene.application()

    @idem.idempotent
    def innermost(number: int) -> int:
        return number

    @idem.idempotent
    async def middle(number: int) -> int:
        return innermost(number) + 1

    @idem.idempotent
    def outermost(number: int) -> int:
        inside.wait(DEADLINE)
        return asyncio.run(middle(number)) + 1

    assert [number + 2 for number in range(CROWD)] == at_once(CROWD, outermost)


def test_51_operations_in_one_store_keep_their_results(scene: Scene) -> None:
    """Two operations, called by many threads at once, never see each other's results."""
    store = scene.faulty()
    idem = scene.application(store)
    double = idem.idempotent(name="double")(lambda number: ("double", number))
    square = idem.idempotent(name="square")(lambda number: ("square", number))

    def mixed(number: int) -> list[tuple[str, int]]:
        order = [(double, "double"), (square, "square")][:: 1 if number % 2 else -1]
        return [work(shared) == (name, shared) for shared in range(4) for work, name in order]

    came = at_once(32, mixed)
    assert ([[True] * 8] * 32, 8) == (came, store.sent.count("complete"))
