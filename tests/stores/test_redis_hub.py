"""Tests of `idemkit.stores.redis.hub`: doorbells that ring in time, over one connection."""

import logging
import statistics
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from idemkit.core.colour import drive
from idemkit.stores.redis import RedisStore
from idemkit.testing.contract.commands import append
from tests.commands import claim, completion, grant, release
from tests.proxy import Proxy
from tests.servers import Server, free_port, running, valkey_binary, wait_until


class Bell:
    """Count rings."""

    def __init__(self) -> None:
        self.rings = 0
        self.rung_at = 0.0

    def __call__(self) -> None:
        """Ring."""
        self.rung_at = time.perf_counter()
        self.rings += 1

    def wait_for(self, rings: int) -> None:
        """Wait until it has rung so often."""
        wait_until(lambda: self.rings >= rings)


@pytest.fixture
def alone(prefix: str) -> Iterator[tuple[RedisStore, Server]]:
    """Return a store whose server nobody else uses."""
    with running(valkey_binary()) as server:
        store = RedisStore(server.url, prefix=prefix)
        yield store, server
        drive(store.close())


def own(store: RedisStore, address: str = "a") -> Any:
    """Claim, and return what is then held."""
    return grant(claim(), drive(store.claim(address, claim())))


@pytest.mark.parametrize("verb", ["complete", "release", "append", "cancel", "forget"])
def test_rings(redis_store: RedisStore, verb: str) -> None:
    """The bell rings once when listening begins, and once for what happens."""
    owned = own(redis_store)
    bell = Bell()
    stop = redis_store.watch("a", bell)
    bell.wait_for(1)
    match verb:
        case "complete":
            drive(redis_store.complete("a", completion(owned)))
        case "release":
            drive(redis_store.release("a", release(owned)))
        case "append":
            drive(redis_store.append("a", append(owned, b"chunk")))
        case "cancel":
            drive(redis_store.cancel("a"))
        case _:
            drive(redis_store.forget("a", 60_000))
    bell.wait_for(2)
    stop()
    assert 2 == bell.rings


def test_append_of_nothing_new_rings_nobody(redis_store: RedisStore) -> None:
    """An append that is sent again wakes no reader: there is nothing to read."""
    owned = own(redis_store)
    bell = Bell()
    stop = redis_store.watch("a", bell)
    bell.wait_for(1)
    drive(redis_store.append("a", append(owned, b"chunk")))
    bell.wait_for(2)
    for _ in range(2):
        drive(redis_store.append("a", append(owned, b"chunk")))
    drive(redis_store.cancel("a"))
    bell.wait_for(3)
    stop()
    assert 3 == bell.rings


def test_flood_of_messages_rings_twice(
    redis_store: RedisStore, server: Server, prefix: str
) -> None:
    """Of what has arrived while bells rang, 256 messages are heard together, then the rest."""
    bell, other, let_go = Bell(), Bell(), threading.Event()

    def ring_slowly() -> None:
        bell()
        let_go.wait()

    stop_other = redis_store.watch("b", other)
    other.wait_for(1)
    stop = redis_store.watch("a", ring_slowly)
    bell.wait_for(1)
    with server.client() as client:
        with client.pipeline(transaction=False) as pipeline:
            for number in range(300):
                pipeline.publish(f"{prefix}:{{a}}:c", f"C{number}")
            pipeline.publish(f"{prefix}:{{b}}:c", "D")
            pipeline.execute()
        client.ping()  # By now the server has written to everybody.
    let_go.set()
    other.wait_for(2)
    stop()
    stop_other()
    assert 1 + 2 == bell.rings


def test_second_watcher_of_a_channel(redis_store: RedisStore) -> None:
    """Who comes when somebody listens already is rung at once."""
    bells = [Bell(), Bell()]
    stops = [redis_store.watch("a", bells[0])]
    bells[0].wait_for(1)
    stops.append(redis_store.watch("a", bells[1]))
    assert 1 == bells[1].rings
    for stop in stops:
        stop()


def test_who_stopped_hears_nothing(redis_store: RedisStore) -> None:
    """After stopping, however often, a bell is silent while another rings."""
    silent, loud = Bell(), Bell()
    stop_silent, stop_loud = redis_store.watch("a", silent), redis_store.watch("a", loud)
    loud.wait_for(1)
    stop_silent()
    stop_silent()
    heard = silent.rings
    drive(redis_store.forget("a", 60_000))
    loud.wait_for(2)
    stop_loud()
    assert heard == silent.rings


def test_watching_anew(redis_store: RedisStore) -> None:
    """A channel that was left can be watched again."""
    for _ in range(3):
        bell = Bell()
        stop = redis_store.watch("a", bell)
        bell.wait_for(1)
        drive(redis_store.forget("a", 60_000))
        bell.wait_for(2)
        stop()


def test_watching_in_haste(redis_store: RedisStore) -> None:
    """Coming and going faster than the server answers ends with whoever stays being rung."""
    for _ in range(200):
        redis_store.watch("a", Bell())()
    bell = Bell()
    stop = redis_store.watch("a", bell)
    bell.wait_for(1)
    before = bell.rings
    drive(redis_store.forget("a", 60_000))
    bell.wait_for(before + 1)
    stop()


def test_broken_callback(redis_store: RedisStore, caplog: pytest.LogCaptureFixture) -> None:
    """A callback that raises is logged, and the next one is rung."""

    def broken() -> None:
        raise RuntimeError

    bell = Bell()
    with caplog.at_level(logging.ERROR, "idemkit"):
        stops = [redis_store.watch("a", broken), redis_store.watch("a", bell)]
        bell.wait_for(1)
        # Who comes when all is heard rings its own bell, maybe before the thread rings others.
        wait_until(lambda: "a doorbell's callback failed" in caplog.messages)
    for stop in stops:
        stop()


def test_callback_may_close_the_store(redis_store: RedisStore) -> None:
    """A callback that stops watching and closes the store does not wait for itself."""
    watching, done = threading.Event(), threading.Event()

    def leave() -> None:
        watching.wait(10)
        stop()
        drive(redis_store.close())
        done.set()

    threads = threading.active_count()
    stop = redis_store.watch("a", leave)
    watching.set()
    done.wait(10)
    wait_until(lambda: threading.active_count() <= threads)
    assert done.is_set()


def test_thousand_waiters(alone: tuple[RedisStore, Server]) -> None:
    """A thousand waiters cost one connection and, while they wait, no command at all."""
    store, server = alone
    bells = [Bell() for _ in range(1000)]
    stops = [store.watch(f"a{number % 500}", bell) for number, bell in enumerate(bells)]
    wait_until(lambda: all(bell.rings for bell in bells))
    before = server.commands_run()
    time.sleep(0.2)
    idle = server.commands_run() - before
    connections = len(server.connections(kind="pubsub"))
    for stop in stops:
        stop()
    # Two, at most, are the question itself: whoever asks says hello first.
    assert (1, True) == (connections, idle <= 5)


def test_nobody_waits(alone: tuple[RedisStore, Server]) -> None:
    """When the last waiter has gone, nothing is subscribed; `close` ends the connection."""
    store, server = alone
    bell = Bell()
    stop = store.watch("a", bell)
    bell.wait_for(1)
    stop()
    wait_until(lambda: server.do("PUBSUB", "CHANNELS") == [])
    drive(store.close())
    drive(store.close())
    wait_until(lambda: server.connections(kind="pubsub") == [])


def test_close_leaves_waiters_alone(redis_store: RedisStore) -> None:
    """Closing one face does not deafen those who wait through the other."""
    bell = Bell()
    stop = redis_store.watch("a", bell)
    bell.wait_for(1)
    drive(redis_store.face("sync").close())
    drive(redis_store.forget("a", 60_000))
    bell.wait_for(2)
    stop()


def test_killed_connection(
    alone: tuple[RedisStore, Server], caplog: pytest.LogCaptureFixture
) -> None:
    """After its connection was killed the hub is back by itself, and everybody is rung once."""
    store, server = alone
    bells = [Bell() for _ in range(5)]
    stops = [store.watch(f"a{number}", bell) for number, bell in enumerate(bells)]
    for bell in bells:
        bell.wait_for(1)
    server.do("CLIENT", "KILL", "TYPE", "pubsub")
    for bell in bells:
        bell.wait_for(2)
    drive(store.forget("a3", 60_000))
    bells[3].wait_for(3)
    for stop in stops:
        stop()
    assert 1 == sum("lost the Redis connection" in message for message in caplog.messages)


def test_killed_while_nobody_waits(alone: tuple[RedisStore, Server]) -> None:
    """A connection that nobody needs is not made again until somebody does."""
    store, server = alone
    bell = Bell()
    stop = store.watch("a", bell)
    bell.wait_for(1)
    stop()
    wait_until(lambda: server.do("PUBSUB", "CHANNELS") == [])
    # Having left all channels, the connection counts as one like any other.
    server.do("CLIENT", "KILL", "TYPE", "normal")
    time.sleep(0.15)
    assert [] == server.connections(kind="normal")
    again = Bell()
    stop = store.watch("a", again)
    again.wait_for(1)
    stop()


def test_server_away_for_a_while(
    prefix: str, proxy: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    """However long the server is away, there is one warning, and then the bell rings."""
    store = RedisStore(proxy.url, prefix=prefix, command_timeout=0.2)
    bell = Bell()
    stop = store.watch("a", bell)
    bell.wait_for(1)
    proxy.refuse(True)
    time.sleep(0.3)
    proxy.refuse(False)
    bell.wait_for(2)
    stop()
    drive(store.close())
    assert 1 == sum("lost the Redis connection" in message for message in caplog.messages)


def test_thread_that_has_ended_is_asked_to_end(prefix: str) -> None:
    """A thread that sees that it is to end before it is told so takes its socket along."""
    store = RedisStore(f"redis://127.0.0.1:{free_port()}", prefix=prefix)
    stop = store.watch("a", Bell())
    listener = store._hub._listener
    assert listener is not None
    listener._stopping.set()
    listener.join()
    stop()
    drive(store.close())
    assert not listener._thread.is_alive()


def test_watching_without_a_server(prefix: str) -> None:
    """Watching a server that is not there tries now and then, and ends when it is told to."""
    store = RedisStore(f"redis://127.0.0.1:{free_port()}", prefix=prefix)
    bell = Bell()
    threads = threading.active_count()
    stops = [store.watch(f"a{number}", bell) for number in range(10)]
    time.sleep(0.1)
    for stop in stops:
        stop()
    drive(store.close())
    wait_until(lambda: threading.active_count() == threads)
    assert 0 == bell.rings


def test_latency(redis_store: RedisStore) -> None:
    """A bell rings within milliseconds of the completion, for nothing is polled."""
    delays = []
    for number in range(30):
        owned = own(redis_store, f"a{number}")
        bell = Bell()
        stop = redis_store.watch(f"a{number}", bell)
        bell.wait_for(1)
        began = time.perf_counter()
        drive(redis_store.complete(f"a{number}", completion(owned)))
        bell.wait_for(2)
        delays.append(bell.rung_at - began)
        stop()
    assert statistics.median(delays) < 0.02
