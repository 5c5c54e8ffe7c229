"""Stores that are away, lose what they know, run full or evict, and what becomes of calls then."""

import asyncio
import functools
from collections.abc import Callable, Iterator

import pytest
import redis

from idemkit import (
    IdemkitWarning,
    Idempotency,
    InProgressError,
    StoreFullError,
    StoreUnavailableError,
)
from idemkit.core.execution import current_execution
from idemkit.protocol import State
from idemkit.stores.memory import MemoryStore
from idemkit.stores.redis import RedisStore
from idemkit.testing.faults import request_lost
from tests.faults.bodies import Make, Runs, charge, noting, stopping
from tests.faults.scene import Far, Scene, Served
from tests.gauntlet.crowds import Caller, Pause
from tests.gauntlet.moments import beaten
from tests.proxy import Proxy
from tests.servers import Server, free_port, running, valkey_binary, wait_until

CROWD = 1000


@pytest.fixture
def nowhere() -> Iterator[Idempotency]:
    """Return an application whose server does not run."""
    with Idempotency(f"redis://127.0.0.1:{free_port()}") as idem:
        yield idem


@pytest.fixture
def through_proxy(served_live: Served, proxy: Proxy) -> Iterator[Idempotency]:
    """Return an application that reaches its server through the proxy."""
    with Idempotency(RedisStore(proxy.url, prefix=served_live.prefix), lease=1) as idem:
        yield idem


def test_25_store_down_at_claim_has_no_effect(nowhere: Idempotency, make: Make) -> None:
    """Without its store a call raises before its body runs."""
    runs = Runs()
    with pytest.raises(StoreUnavailableError, match="does not answer"):
        make(nowhere, noting(runs))
    assert [] == runs.attempts


def test_25_store_down_at_claim_runs_unprotected(
    nowhere: Idempotency, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """With `on_store_error="run"` the body runs, nothing is recorded, and that is said."""
    outcome = make(nowhere, lambda amount: f"paid {amount}", on_store_error="run")
    assert ("paid 7", "unprotected", False) == (outcome.value, outcome.kind, outcome.recorded)
    assert "charge runs unprotected" in caplog.text


def test_26_store_down_at_completion_costs_no_value(
    proxy: Proxy, through_proxy: Idempotency, make: Make
) -> None:
    """A store that goes while the body runs costs the record, and not the value."""

    def body(amount: int) -> str:
        proxy.refuse(refusing=True)
        return f"paid {amount}"

    outcome = make(through_proxy, body)
    assert ("paid 7", "executed", False) == (outcome.value, outcome.kind, outcome.recorded)


def test_26_store_back_before_the_lease_ends_takes_the_completion(scene: Scene) -> None:
    """A completion is sent again while the lease is good."""
    store = scene.faulty()
    store.suffer("complete", *[request_lost] * 3)
    outcome = charge(scene.application(store), noting(Runs())).outcome(7)
    assert (True, 4) == (outcome.recorded, store.sent.count("complete"))


def test_26_unrecorded_call_is_abandoned_at_lease_end(scene: Scene) -> None:
    """What could not be recorded stays claimed until the lease ends, and is then attempt 2."""
    store, runs = scene.faulty(), Runs()
    store.suffer("complete", then=request_lost)
    charge(scene.application(store, lease=1), noting(Runs()))(7)
    work = charge(scene.application(on_duplicate="reject"), noting(runs))
    with pytest.raises(InProgressError):
        work(7)
    scene.clock.advance(1)
    assert ("recovered", [2]) == (work.outcome(7).kind, runs.attempts)


@pytest.mark.slow
def test_27_loss_during_the_run_is_healed_by_the_next_beat(far: Far) -> None:
    """A server that loses a claim is told again, and later duplicates wait as before."""
    pause, store = Pause(), far.faulty()
    work = charge(far.application(store, lease=1), stopping(pause))
    owner = Caller(lambda: work.outcome(7))
    pause.reached()
    far.lose(work, 7)
    beaten(store)
    duplicate = charge(far.application(on_duplicate="reject"), noting(Runs()))
    with pytest.raises(InProgressError):
        duplicate(7)
    pause.end()
    assert ("executed", True) == (owner.result().kind, owner.result().recorded)


def test_28_owner_that_lost_its_claim_to_another_is_fenced(far: Far) -> None:
    """If somebody claims before that beat, the first owner loses, and returns the winner's."""
    first, second, store, runs = Pause(), Pause(), far.faulty(), Runs()
    late = charge(far.application(store), stopping(first, "late"))
    owner = Caller(lambda: late.outcome(7))
    first.reached()
    far.lose(late, 7)

    def body(amount: int) -> str:
        runs.note()
        return stopping(second, "won")(amount)

    work = charge(far.application(), body)
    winner = Caller(lambda: work.outcome(7))
    second.reached()
    first.end()
    store.until("watch", ended=True)
    second.end()
    assert ("won", "joined", "won", [1]) == (
        owner.result().value,
        owner.result().kind,
        winner.result().value,
        runs.attempts,
    )


def test_29_loss_at_completion_is_healed_while_the_lease_is_good(far: Far) -> None:
    """A completion puts back what the server lost, outcome included."""

    def body(amount: int) -> str:
        far.lose(work, amount)
        return f"paid {amount}"

    work = charge(far.application(), body)
    outcome, replay = work.outcome(7), work.outcome(7)
    assert (True, "replayed", "paid 7") == (outcome.recorded, replay.kind, replay.value)


@pytest.mark.slow
def test_29_loss_at_completion_after_the_lease_is_a_loss(
    far: Far, caplog: pytest.LogCaptureFixture
) -> None:
    """After the lease nobody can tell who else ran, so nothing is put back."""
    store = far.faulty()
    store.suffer("beat", then=request_lost)

    def body(amount: int) -> str:
        execution = current_execution()
        assert execution is not None
        wait_until(lambda: not execution.valid())
        far.lose(work, amount)
        return f"paid {amount}"

    work = charge(far.application(store, lease=1), body)
    outcome = work.outcome(7)
    assert ("paid 7", False, None) == (outcome.value, outcome.recorded, work.peek(7))
    assert "charge lost its claim before it completed (gone)" in caplog.messages


def test_30_replicated_claim_without_a_replica_has_no_effect(served: Served, make: Make) -> None:
    """A claim that a failover would lose stops the call before its body runs, and is free again."""
    runs = Runs()
    store = RedisStore(
        served.server.url, prefix=served.prefix, clock=served.clock.milliseconds, command_timeout=1
    )
    with Idempotency(store) as idem, pytest.raises(StoreUnavailableError, match="not replicated"):
        make(idem, noting(runs), durability="replicated")
    make(served.application(on_duplicate="reject"), noting(runs))
    assert [2] == runs.attempts


def test_30_failover_that_loses_the_claim_runs_twice_and_records_once(far: Far) -> None:
    """Without `WAIT`, the successor of a lost primary knows of no claim; one outcome remains."""
    pause, runs = Pause(), Runs()
    late = charge(far.application(), stopping(pause, "late"))
    owner = Caller(lambda: late(7))
    pause.reached()
    far.lose(late, 7)
    won = charge(far.application(), noting(runs, "won"))(7)
    pause.end()
    assert ("won", "won", [1]) == (won, owner.result(), runs.attempts)


@pytest.fixture
def full(server: Server) -> Iterator[Callable[[], None]]:
    """Return what lets the server run out of memory until the end of the test."""
    yield functools.partial(server.do, "CONFIG", "SET", "maxmemory", "1")
    server.do("CONFIG", "SET", "maxmemory", "0")


def test_32_full_server_refuses_claims_and_takes_completions(
    served: Served, full: Callable[[], None], make: Make
) -> None:
    """A server that runs full while a body runs records it, and lets no other begin."""
    runs = Runs()

    def body(amount: int) -> str:
        full()
        return f"paid {amount}"

    first = make(served.application(lease=1), body)
    other = served.application().idempotent(name="other")(noting(runs))
    with pytest.raises(StoreFullError):
        other(7)
    replay = charge(served.application(on_duplicate="reject"), noting(runs)).outcome(7)
    assert (True, "replayed", "paid 7", []) == (
        first.recorded,
        replay.kind,
        replay.value,
        runs.attempts,
    )


def test_32_full_memory_refuses_claims_and_takes_completions() -> None:
    """So does the memory store when all its records are running."""
    idem = Idempotency(MemoryStore(max_records=1))
    pause, runs = Pause(), Runs()
    work = charge(idem, stopping(pause))
    owner = Caller(lambda: work.outcome(7))
    pause.reached()
    other = idem.idempotent(name="other")(noting(runs))
    with pytest.raises(StoreFullError):
        other(7)
    pause.end()
    assert (True, []) == (owner.result().recorded, runs.attempts)


@pytest.fixture
def evicting(server: Server) -> Iterator[Callable[[], None]]:
    """Let the server evict what has a ttl, and return what makes it do so."""
    server.do("CONFIG", "SET", "maxmemory-policy", "volatile-lru")

    def evict() -> None:
        server.do("CONFIG", "SET", "maxmemory", "1")
        with pytest.raises(redis.OutOfMemoryError):
            server.do("SET", "more", "than fits")
        server.do("CONFIG", "SET", "maxmemory", "0")

    yield evict
    server.do("CONFIG", "SET", "maxmemory", "0")
    server.do("CONFIG", "SET", "maxmemory-policy", "noeviction")


def test_33_evicted_claim_is_warned_of_and_healed(
    served: Served, evicting: Callable[[], None]
) -> None:
    """A server that may evict claims is warned of at the start; an evicted one is put back."""

    def body(amount: int) -> str:
        evicting()
        assert 0 == served.server.do("EXISTS", served.place_of(work, amount))
        return f"paid {amount}"

    work = charge(served.application(), body)
    with pytest.warns(IdemkitWarning, match="maxmemory-policy is volatile-lru"):
        outcome = work.outcome(7)
    assert ("paid 7", True) == (outcome.value, outcome.recorded)
    assert "replayed" == work.outcome(7).kind


def test_34_flushall_is_healed(served: Served) -> None:
    """A server that is flushed while a body runs has its outcome all the same."""

    def body(amount: int) -> str:
        served.server.do("FLUSHALL")
        return f"paid {amount}"

    work = charge(served.application(), body)
    assert (True, "replayed") == (work.outcome(7).recorded, work.outcome(7).kind)


def test_34_forget_is_not_healed(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    """A call that was forgotten while its body ran leaves no outcome, and the next one runs."""
    runs = Runs()

    def body(amount: int) -> str:
        runs.note()
        assert work.forget(amount)
        return f"paid {amount}"

    work = charge(scene.application(), body)
    outcome = work.outcome(7)
    assert ("paid 7", False) == (outcome.value, outcome.recorded)
    assert State.FORGOTTEN == scene.record(work, 7).state
    assert "charge lost its claim before it completed (forgotten)" in caplog.messages


@pytest.mark.slow
def test_34_forgotten_claim_is_not_put_back_by_a_beat(scene: Scene) -> None:
    """Nor do the beats of a call put back what was forgotten: the next call runs at once."""
    pause, store, runs = Pause(), scene.faulty(), Runs()
    work = charge(scene.application(store, lease=1), stopping(pause, "late"))
    owner = Caller(lambda: work.outcome(7))
    pause.reached()
    elsewhere = charge(scene.application(on_duplicate="reject"), noting(runs, "won"))
    elsewhere.forget(7)
    beaten(store)
    value = elsewhere(7)
    pause.end()
    assert ("won", [1], "won") == (value, runs.attempts, owner.result().value)


def test_35_thousand_duplicates_cost_one_execution(served: Served) -> None:
    """A crowd in two processes has one owner, and costs each process one fetch, not one a head."""
    stores, runs, ttl = [served.faulty() for _ in range(2)], Runs(), 60

    def others_wait() -> bool:
        return sum(store.ended.count("watch") for store in stores) >= len(runs.attempts)

    async def body(amount: int) -> str:
        runs.note()
        await asyncio.to_thread(wait_until, others_wait)
        return f"paid {amount}"

    crowds = [charge(served.application(store, ttl=ttl), body) for store in stores]

    async def storm() -> list[str]:
        calls = [work(7) for _ in range(CROWD // 2) for work in crowds]
        async with asyncio.timeout(20):
            return await asyncio.gather(*calls)

    with asyncio.Runner() as runner:
        first, first_cost = counted(served, lambda: runner.run(storm()))
        served.clock.advance(ttl)
        second, second_cost = counted(served, lambda: runner.run(storm()))
    assert (["paid 7"] * CROWD, ["paid 7"] * CROWD, [1, 1]) == (first, second, runs.attempts)
    assert max(first_cost, second_cost) <= 6


def counted(served: Served, storm: Callable[[], list[str]]) -> tuple[list[str], int]:
    """Return what a storm brings, and how many scripts the server ran for it."""
    before = served.server.scripts_run()
    came = storm()
    return came, served.server.scripts_run() - before


def test_36_replicas_are_never_read() -> None:
    """A replica gets its copies, and no question."""
    with running(valkey_binary(), "--repl-diskless-sync-delay", "0") as primary:
        copied = ("--replicaof", f"127.0.0.1 {primary.port}")
        with running(valkey_binary(), *copied) as replica, Idempotency(primary.url) as idem:
            wait_until(lambda: primary.do("WAIT", 1, 10) == 1)
            work = charge(idem, noting(Runs()))
            kinds = [work.outcome(7).kind, work.outcome(7).kind, work.peek(7).kind]
            wait_until(lambda: replica.do("DBSIZE") == 1)
            assert (["executed", "replayed", "replayed"], 0) == (kinds, replica.scripts_run())
