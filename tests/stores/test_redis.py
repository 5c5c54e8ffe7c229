"""Tests of `idemkit.stores.redis.store`: every verb in both colours, on real servers."""

import asyncio
import gc
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from redis.exceptions import ResponseError

from idemkit.core.colour import drive
from idemkit.errors import StoreFullError, StoreUnavailableError
from idemkit.protocol import (
    Acquired,
    Done,
    InDoubt,
    Poisoned,
    Reused,
    Running,
    Standing,
    State,
)
from idemkit.stores.redis import RedisStore
from tests.commands import BODY, OTHER, beat, claim, completion, grant, note, release, step
from tests.proxy import Proxy
from tests.servers import Server, binaries, free_port, running, wait_until
from tests.stores.conftest import Face

Colour = Callable[[RedisStore], Face]


def own(face: Face, address: str = "a", **terms: Any) -> Any:
    """Claim, and return what is then held."""
    command = claim(**terms)
    return grant(command, face.run(face.store.claim(address, command)))


def test_claim_of_a_free_key(face: Face) -> None:
    """The first claim is granted."""
    decision = face.run(face.store.claim("a", claim()))
    assert (Acquired, 1, 0) == (type(decision), decision.attempt, decision.abandoned)


def test_claim_sent_again(face: Face) -> None:
    """A claim that arrives twice is the same claim."""
    first = face.run(face.store.claim("a", claim()))
    assert first == face.run(face.store.claim("a", claim()))


def test_claim_of_somebody_elses(face: Face) -> None:
    """Whoever comes second learns how long the lease lasts."""
    own(face)
    decision = face.run(face.store.claim("a", claim(OTHER)))
    assert (Running, True) == (type(decision), 29_000 < decision.left <= 30_000)


def test_claim_of_another_payload(face: Face) -> None:
    """A key that came with another payload is refused."""
    own(face)
    assert Reused(State.RUNNING) == face.run(face.store.claim("a", claim(OTHER, b"other")))


def test_claim_of_an_abandoned_key(face: Face) -> None:
    """After the lease, the next one takes over."""
    own(face, lease=1)
    time.sleep(0.005)
    decision = face.run(face.store.claim("a", claim(OTHER)))
    assert (2, 1) == (decision.attempt, decision.abandoned)


def test_claim_that_may_not_take_over(face: Face) -> None:
    """Without leave to take over, an abandoned key is in doubt."""
    own(face, lease=1)
    time.sleep(0.005)
    decision = face.run(face.store.claim("a", claim(OTHER, take_over=False)))
    assert (InDoubt, 1) == (type(decision), decision.attempt)


def test_claim_of_a_poisoned_key(face: Face) -> None:
    """Too many abandoned attempts end the attempts."""
    own(face, lease=1)
    time.sleep(0.005)
    assert Poisoned(1) == face.run(face.store.claim("a", claim(OTHER, max_attempts=1)))


def test_completed_call_replays(face: Face) -> None:
    """An outcome comes back as it was recorded, byte for byte."""
    face.run(face.store.complete("a", completion(own(face))))
    decision = face.run(face.store.claim("a", claim(OTHER)))
    assert isinstance(decision, Done)
    assert (BODY, "plain", "00-ab-cd-01") == (
        decision.recorded.body,
        decision.recorded.codec,
        decision.recorded.origin,
    )


def test_stale_outcome_comes_with_the_claim(face: Face) -> None:
    """An outcome past its time still stands in."""
    face.run(face.store.complete("a", completion(own(face), ttl=1, stale=60_000)))
    time.sleep(0.005)
    decision = face.run(face.store.claim("a", claim(OTHER)))
    assert BODY == decision.stale.body


def test_completion_sent_again(face: Face) -> None:
    """A completion that arrives twice is the same completion."""
    owned = own(face)
    face.run(face.store.complete("a", completion(owned)))
    assert Standing.REPEATED == face.run(face.store.complete("a", completion(owned)))


def test_completion_of_a_loser(face: Face) -> None:
    """Whoever has been superseded changes nothing."""
    loser = own(face, lease=1)
    time.sleep(0.005)
    face.run(face.store.claim("a", claim(OTHER)))
    assert Standing.SUPERSEDED == face.run(face.store.complete("a", completion(loser)))


def test_completion_after_loss(face: Face, server: Server, prefix: str) -> None:
    """A completion puts back what the server lost."""
    owned = own(face)
    server.do("DEL", f"{prefix}:{{a}}:r")
    assert Standing.HEALED == face.run(face.store.complete("a", completion(owned)))


def test_release(face: Face) -> None:
    """A released key is free, and counts its attempts."""
    face.run(face.store.release("a", release(own(face))))
    assert 2 == face.run(face.store.claim("a", claim(OTHER))).attempt


def test_release_in_doubt(face: Face) -> None:
    """Who does not know how far it got leaves an abandoned key."""
    face.run(face.store.release("a", release(own(face), in_doubt=True)))
    decision = face.run(face.store.claim("a", claim(OTHER, take_over=False)))
    assert isinstance(decision, InDoubt)


def test_forget(face: Face) -> None:
    """A forgotten key is free, and its owner finds out."""
    owned = own(face)
    assert [True, False] == [face.run(face.store.forget("a", 60_000)) for _ in range(2)]
    assert [Standing.FORGOTTEN] == face.store.beat([("a", beat(owned))])


def test_step_comes_with_the_next_attempt(face: Face) -> None:
    """What an attempt wrote into its journal, the next one reads."""
    owned = own(face)
    assert Standing.HELD == face.run(face.store.step("a", step(owned, note())))
    face.run(face.store.release("a", release(owned)))
    assert (note(),) == face.run(face.store.claim("a", claim(OTHER))).journal


def test_peek_of_nothing(face: Face) -> None:
    """Where there is no record, there is nothing to see."""
    assert None is face.run(face.store.peek("a"))


def test_beats_share_a_round_trip(face: Face) -> None:
    """Each beat of a pipeline gets its own answer, in order."""
    owned = own(face)
    beats = [("a", beat(owned)), ("b", beat(owned)), ("c", beat(owned, heal=False))]
    assert [Standing.HELD, Standing.HEALED, Standing.GONE] == face.store.beat(beats)


def test_no_beats(redis_store: RedisStore) -> None:
    """Nothing to renew costs nothing."""
    assert [] == redis_store.beat([])


def test_open(face: Face) -> None:
    """Opening says that all is well by returning, as often as you like."""
    assert [None, None] == [face.run(face.store.open()) for _ in range(2)]


def test_open_without_a_server(colour: Colour) -> None:
    """Opening is loud about a server that is not there."""
    face = colour(RedisStore(f"redis://127.0.0.1:{free_port()}"))
    with pytest.raises(StoreUnavailableError, match="does not answer"):
        face.run(face.store.open())


def test_store_itself_serves_both(redis_store: RedisStore) -> None:
    """Without a face, a verb blocks outside event loops and suspends inside them."""
    drive(redis_store.claim("a", claim()))

    async def inside() -> Any:
        decision = await redis_store.claim("a", claim(OTHER))
        with pytest.raises(StoreUnavailableError, match="not replicated"):
            await redis_store.claim("b", claim(durability="replicated"))
        await redis_store.close()
        return decision

    assert isinstance(asyncio.run(inside()), Running)


def test_store_itself_pauses_in_both(proxied: RedisStore, proxy: Proxy) -> None:
    """Without a face, a verb that is sent again waits in the way of its caller."""
    drive(proxied.claim("a", claim()))
    proxy.drop_replies(1)
    drive(proxied.claim("a", claim()))

    async def inside() -> Any:
        proxy.drop_replies(1)
        decision = await proxied.claim("a", claim())
        await proxied.close()
        return decision

    assert isinstance(asyncio.run(inside()), Acquired)


def test_closed_store_reopens(face: Face) -> None:
    """A verb after `close` opens the store again."""
    own(face)
    face.run(face.store.close())
    face.run(face.store.close())
    assert isinstance(face.run(face.store.claim("a", claim(OTHER))), Running)


# ------------------------------------------------------------------------ lost messages


@pytest.mark.parametrize("drops", [1, 2])
def test_lost_reply_of_a_claim(proxied_face: Face, proxy: Proxy, drops: int) -> None:
    """A claim whose reply was lost is sent again and is still granted, as the first attempt."""
    proxied_face.run(proxied_face.store.open())
    proxy.drop_replies(drops)
    assert 1 == proxied_face.run(proxied_face.store.claim("a", claim())).attempt


def test_lost_request(proxied_face: Face, proxy: Proxy) -> None:
    """A claim that never arrived is sent again."""
    proxied_face.run(proxied_face.store.open())
    proxy.drop_requests(1)
    assert 1 == proxied_face.run(proxied_face.store.claim("a", claim())).attempt


def test_lost_reply_without_a_cut(proxied_face: Face, proxy: Proxy) -> None:
    """Silence is an answer, too: after the time limit the command is sent again."""
    proxied_face.run(proxied_face.store.open())
    proxy.drop_replies(1, cut=False)
    assert 1 == proxied_face.run(proxied_face.store.claim("a", claim())).attempt


def test_lost_reply_of_a_completion(proxied_face: Face, proxy: Proxy) -> None:
    """A completion whose reply was lost was recorded once, and its owner learns so."""
    owned = own(proxied_face)
    proxied_face.run(proxied_face.store.complete("b", completion(owned)))
    proxy.drop_replies(1)
    standing = proxied_face.run(proxied_face.store.complete("a", completion(owned)))
    assert Standing.REPEATED == standing


def test_lost_reply_of_a_step(proxied_face: Face, proxy: Proxy) -> None:
    """A step whose reply was lost is sent again, and written once."""
    owned = own(proxied_face)
    proxy.drop_replies(1)
    assert Standing.HELD == proxied_face.run(proxied_face.store.step("a", step(owned, note())))
    record, _ = proxied_face.run(proxied_face.store.peek("a"))
    assert (note(),) == record.journal


def test_lost_reply_of_beats(proxied: RedisStore, proxy: Proxy) -> None:
    """Beats are sent again like everything else."""
    face = Face(proxied.face("sync"), drive)
    owned = own(face)
    proxied.beat([("a", beat(owned))])
    proxy.drop_replies(1)
    assert [Standing.HELD] == proxied.beat([("a", beat(owned))])


def test_three_losses_are_too_many(proxied_face: Face, proxy: Proxy) -> None:
    """After two more tries, the store says that it does not answer."""
    proxied_face.run(proxied_face.store.open())
    proxy.drop_replies(3)
    with pytest.raises(StoreUnavailableError, match="does not answer"):
        proxied_face.run(proxied_face.store.claim("a", claim()))


def test_forgotten_scripts(face: Face, server: Server) -> None:
    """A server that forgot all scripts is told them again, without anybody noticing."""
    owned = own(face)
    server.do("SCRIPT", "FLUSH")
    assert [Standing.HELD] * 2 == face.store.beat([("a", beat(owned))] * 2)
    server.do("SCRIPT", "FLUSH")
    assert Standing.HELD == face.run(face.store.step("a", step(owned, note("a"), note("b"))))
    server.do("SCRIPT", "FLUSH")
    assert Standing.HELD == face.run(face.store.complete("a", completion(owned)))


def test_unreachable_within_bounds(colour: Colour, server: Server) -> None:
    """A frozen server costs three time limits and two pauses, and no more."""
    face = colour(RedisStore(server.url, command_timeout=0.2))
    face.run(face.store.open())
    server.freeze()
    began = time.monotonic()
    try:
        with pytest.raises(StoreUnavailableError):
            face.run(face.store.claim("a", claim()))
    finally:
        server.thaw()
    took = time.monotonic() - began
    face.run(face.store.close())
    assert 0.5 < took < 2.0


# -------------------------------------------------------------- servers that go or refuse


@pytest.mark.parametrize("name", sorted(binaries()))
def test_restarted_server(colour: Colour, name: str) -> None:
    """After a restart the store finds the server by itself; only what was there is lost."""
    with running(binaries()[name]) as server:
        face = colour(RedisStore(server.url))
        owned = own(face)
        server.stop()
        with pytest.raises(StoreUnavailableError):
            face.run(face.store.claim("a", claim()))
        server.start()
        assert [Standing.HEALED] == face.store.beat([("a", beat(owned))])
        assert isinstance(face.run(face.store.claim("a", claim(OTHER))), Running)
        face.run(face.store.close())


@pytest.mark.parametrize("name", sorted(binaries()))
def test_full_server(colour: Colour, name: str) -> None:
    """Out of memory, claims are refused, owners hear that they own, and what they do is kept."""
    with running(binaries()[name], "--maxmemory-policy", "noeviction") as server:
        face = colour(RedisStore(server.url))
        owned = own(face)
        face.run(face.store.complete("done", completion(own(face, "done"))))
        server.do("CONFIG", "SET", "maxmemory", "1")
        with pytest.raises(StoreFullError):
            face.run(face.store.claim("b", claim()))
        assert isinstance(face.run(face.store.claim("done", claim(OTHER))), Done)
        assert isinstance(face.run(face.store.claim("a", claim())), Acquired)
        assert [Standing.HELD] == face.store.beat([("a", beat(owned))])
        assert Standing.HELD == face.run(face.store.step("a", step(owned, note())))
        assert (note(),) == face.run(face.store.claim("a", claim())).journal
        assert Standing.HELD == face.run(face.store.complete("a", completion(owned)))
        face.run(face.store.close())


def test_demoted_server(colour: Colour) -> None:
    """A server that became a replica is asked again, over a new connection each time."""
    with running(binaries()["valkey"]) as server:
        face = colour(RedisStore(server.url))
        own(face)
        before = server.do("INFO", "stats")["total_connections_received"]
        server.do("REPLICAOF", "127.0.0.1", str(free_port()))
        server.do("CONFIG", "SET", "replica-serve-stale-data", "yes")
        with pytest.raises(StoreUnavailableError, match="read only"):
            face.run(face.store.claim("b", claim()))
        after = server.do("INFO", "stats")["total_connections_received"]
        face.run(face.store.close())
        assert 2 <= after - before - 3


def test_demoted_server_and_beats() -> None:
    """Beats, too, look for the new primary over a new connection."""
    with running(binaries()["valkey"]) as server:
        face = Face(RedisStore(server.url), drive)
        owned = own(face)
        face.store.beat([("a", beat(owned))])
        server.do("REPLICAOF", "127.0.0.1", str(free_port()))
        with pytest.raises(StoreUnavailableError, match="read only"):
            face.store.beat([("a", beat(owned))])
        server.do("REPLICAOF", "NO", "ONE")
        before = server.do("INFO", "stats")["total_connections_received"]
        standings = face.store.beat([("a", beat(owned))])
        after = server.do("INFO", "stats")["total_connections_received"]
        face.run(face.store.close())
    assert ([Standing.HELD], 2) == (standings, after - before)


def test_busy_server(redis_store: RedisStore, server: Server, colour: Colour) -> None:
    """A server that is busy with somebody's script is asked again, then declared away."""
    server.do("CONFIG", "SET", "busy-reply-threshold", "1")
    loop = threading.Thread(target=_loop_in_server, args=(server,))
    face = colour(redis_store)
    face.run(face.store.open())
    loop.start()
    try:
        with pytest.raises(ResponseError, match="BUSY"):
            list(map(server.do, ["PING"] * 10_000))
        with pytest.raises(StoreUnavailableError, match="BUSY"):
            face.run(face.store.claim("a", claim()))
    finally:
        server.do("SCRIPT", "KILL")
        loop.join()
    assert isinstance(face.run(face.store.claim("a", claim())), Acquired)


def _loop_in_server(server: Server) -> None:
    with pytest.raises(Exception, match="kill"):
        server.do("EVAL", "while true do end", 0)


def test_refusing_server(face: Face, server: Server, prefix: str) -> None:
    """What the server refuses for good is not sent again."""
    server.do("SET", f"{prefix}:{{a}}:r", "text")
    before = server.commands_run()
    with pytest.raises(StoreUnavailableError, match="refused"):
        face.run(face.store.claim("a", claim()))
    with pytest.raises(StoreUnavailableError, match="refused"):
        face.store.beat([("a", beat(own(face, "b")))])
    assert server.commands_run() - before < 30


def test_wrong_password(colour: Colour, server: Server) -> None:
    """A password that the server does not take is not tried three times."""
    face = colour(RedisStore(f"redis://:wrong@127.0.0.1:{server.port}"))
    with pytest.raises(StoreUnavailableError, match="refused"):
        face.run(face.store.claim("a", claim()))


# --------------------------------------------------------------------------- durability


def test_replicated_without_a_replica(face: Face) -> None:
    """A claim that no replica confirms is given back before anybody runs."""
    with pytest.raises(StoreUnavailableError, match="not replicated"):
        face.run(face.store.claim("a", claim(durability="replicated")))
    record, _ = face.run(face.store.peek("a"))
    assert State.FAILED == record.state


def test_replicated(colour: Colour) -> None:
    """A claim that a replica confirms is granted; who comes second waits."""
    with running(binaries()["valkey"]) as primary:
        replica_of = ("--replicaof", f"127.0.0.1 {primary.port}", "--repl-diskless-sync-delay", "0")
        with running(binaries()["valkey"], *replica_of):
            primary.do("CONFIG", "SET", "repl-diskless-sync-delay", "0")
            wait_until(lambda: primary.do("WAIT", 1, 10) == 1)
            face = colour(RedisStore(primary.url, command_timeout=10))
            owned = own(face, durability="replicated")
            second = face.run(face.store.claim("a", claim(OTHER, durability="replicated")))
            face.run(face.store.close())
    assert (1, Running) == (owned.attempt, type(second))


def test_fsynced(colour: Colour) -> None:
    """A claim that is on the disk is granted."""
    with running(binaries()["valkey"], "--appendonly", "yes") as server:
        face = colour(RedisStore(server.url))
        owned = own(face, durability="fsynced")
        face.run(face.store.close())
    assert 1 == owned.attempt


def test_fsynced_without_a_file(face: Face) -> None:
    """A server that keeps no file on its disk cannot confirm a claim."""
    with pytest.raises(StoreUnavailableError, match="not fsynced"):
        face.run(face.store.claim("a", claim(durability="fsynced")))


def test_durable_claim_after_a_loss(proxied_face: Face, proxy: Proxy) -> None:
    """A claim and its confirmation are sent again together."""
    for drops in (0, 1):
        proxy.drop_replies(drops)
        with pytest.raises(StoreUnavailableError, match="not replicated"):
            proxied_face.run(proxied_face.store.claim(f"a{drops}", claim(durability="replicated")))


# ---------------------------------------------------------------- threads, loops, forks


def test_storm_of_threads(server: Server, prefix: str) -> None:
    """Two hundred threads share four connections, and one of them gets the claim."""
    store = RedisStore(server.url, prefix=prefix, max_connections=4)
    face = store.face("sync")
    before = server.scripts_run()
    tokens = [b"%016d" % number for number in range(200)]
    with ThreadPoolExecutor(200) as pool:
        decisions = list(pool.map(lambda token: drive(face.claim("a", claim(token))), tokens))
    connections = len(server.connections(kind="normal"))
    cost = server.scripts_run() - before
    drive(face.close())
    winners = sum(isinstance(decision, Acquired) for decision in decisions)
    assert (1, True, True) == (winners, connections <= 4, 200 <= cost <= 204)


def test_storm_of_tasks(redis_store: RedisStore, server: Server) -> None:
    """A thousand tasks share one connection, and one of them gets the claim."""
    face = redis_store.face("async")

    async def storm() -> list[Any]:
        tokens = [b"%016d" % number for number in range(1000)]
        return await asyncio.gather(*[face.claim("a", claim(token)) for token in tokens])

    before = server.do("INFO", "stats")["total_connections_received"]
    decisions = asyncio.run(storm())
    after = server.do("INFO", "stats")["total_connections_received"]
    winners = sum(isinstance(decision, Acquired) for decision in decisions)
    assert (1, 2) == (winners, after - before)


def test_loops_in_turn(redis_store: RedisStore) -> None:
    """One store serves event loops that come and go, and leaves nothing open in them."""
    face = redis_store.face("async")
    decisions = [asyncio.run(face.claim("a", claim())) for _ in range(3)]
    gc.collect()
    assert 1 == len(set(decisions))


def test_loops_at_once(redis_store: RedisStore) -> None:
    """One store serves event loops in several threads."""
    face = redis_store.face("async")

    async def work(name: str) -> list[Any]:
        return [await face.claim(f"{name}{number}", claim()) for number in range(100)]

    with ThreadPoolExecutor(4) as pool:
        decisions = list(pool.map(lambda name: asyncio.run(work(name)), "wxyz"))
    assert {1} == {decision.attempt for each in decisions for decision in each}


def test_loops_alternately(redis_store: RedisStore) -> None:
    """A loop that is left and entered again finds its connection as it was."""
    face = redis_store.face("async")
    with asyncio.Runner() as one, asyncio.Runner() as other:
        runs = [runner.run(face.claim("a", claim())) for runner in (one, other, one, other)]
        for runner in (one, other):
            runner.run(face.close())
    assert 1 == len(set(runs))


def test_cancelled_callers(redis_store: RedisStore) -> None:
    """Whoever is cancelled mid-command leaves its reply behind, and nobody else gets it."""
    face = redis_store.face("async")

    async def storm() -> tuple[list[Any], list[Any]]:
        tasks = [asyncio.create_task(face.claim(f"a{number}", claim())) for number in range(200)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for task in tasks[::3]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        owners = [await face.peek(f"a{number}") for number in range(200)]
        epochs = [record.epoch for record, _ in filter(None, owners)]
        granted = [task.result().epoch for task in tasks if not task.cancelled()]
        kept = [epoch for number, epoch in enumerate(epochs) if number % 3]
        return kept, granted

    kept, granted = asyncio.run(storm())
    assert kept == granted


def _claim_in_child(face: RedisStore, answers: Any) -> None:
    stop = face.watch("a", lambda: None)
    answers.send(type(drive(face.claim("a", claim(OTHER)))).__name__)
    stop()


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_fork(redis_store: RedisStore) -> None:
    """A forked child opens its own connections, and the parent's go on working."""
    face = redis_store.face("sync")
    rings: list[float] = []
    stop = face.watch("a", lambda: rings.append(0))
    wait_until(lambda: rings)
    owned = grant(claim(), drive(face.claim("a", claim())))
    os.register_at_fork(after_in_child=redis_store.after_fork)
    theirs, ours = multiprocessing.Pipe()
    child = multiprocessing.get_context("fork").Process(target=_claim_in_child, args=(face, ours))
    child.start()
    answer = theirs.recv()
    child.join()
    heard = len(rings)
    standing = drive(face.complete("a", completion(owned)))
    wait_until(lambda: len(rings) > heard)
    stop()
    assert ("Running", Standing.HELD, 0) == (answer, standing, child.exitcode)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_fork_inside_a_loop(redis_store: RedisStore) -> None:
    """A child of a process with a running loop does not silence the parent's connection."""
    face = redis_store.face("async")

    async def parent() -> tuple[Any, Any]:
        first = await face.claim("a", claim())
        if (child := os.fork()) == 0:
            redis_store.after_fork()
            gc.collect()
            os._exit(0)
        await asyncio.to_thread(os.waitpid, child, 0)
        return first, await face.claim("a", claim())

    first, second = asyncio.run(parent())
    assert first == second


def run_in_thread(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine to its end in another thread's event loop."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()


def test_loop_that_was_not_shut_down(redis_store: RedisStore) -> None:
    """A loop that was closed without ado does not keep a store from serving the next one."""
    face = redis_store.face("async")
    loop = asyncio.new_event_loop()
    first = loop.run_until_complete(face.claim("a", claim()))
    loop.run_until_complete(face.close())
    loop.close()
    assert first == run_in_thread(face.claim("a", claim()))
