"""Tests of `idemkit.core.flights`: one pilot per call, and followers who cost nothing."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from idemkit.core.colour import ASYNC, SYNC, Bell, drive
from idemkit.core.flights import Flight, Flights, Landing
from idemkit.protocol import Kind, Recorded
from tests.servers import wait_until

ROUTE = ("address", b"payload")
RECORDED = Recorded(Kind.VALUE, "typed", b"body", "", 1, 0, 1, 2)


def here() -> bool:
    """Say that the pilot lives."""
    return True


def gone() -> bool:
    """Say that the pilot's loop was closed, or its thread has ended."""
    return False


@pytest.fixture
def flights() -> Flights:
    """Return the flights of a store."""
    return Flights()


def rung(bell: Bell) -> bool:
    """Say whether a thread's bell was rung."""
    return drive(bell.wait(0))


def follower(flight: Flight) -> Bell:
    """Follow a flight."""
    bell = SYNC.bell()
    flight.follow(bell)
    return bell


def test_first_is_the_pilot(flights: Flights) -> None:
    """Whoever comes first goes to the store."""
    assert flights.board(ROUTE, here)[1]


def test_second_follows_the_first(flights: Flights) -> None:
    """Whoever comes while that lasts shares its flight."""
    first, _ = flights.board(ROUTE, here)
    assert (first, False) == flights.board(ROUTE, here)


@pytest.mark.parametrize("other", [("address", b"other payload"), ("other address", b"payload")])
def test_other_calls_fly_on_their_own(flights: Flights, other: tuple[str, bytes]) -> None:
    """Another key shares nothing, and the same key with another payload neither."""
    flights.board(ROUTE, here)
    assert flights.board(other, here)[1]


def test_one_pilot_of_many_threads(flights: Flights) -> None:
    """However many board at once, one of them is the pilot."""
    crowd = threading.Barrier(16)

    def board() -> bool:
        crowd.wait()
        return flights.board(ROUTE, here)[1]

    with ThreadPoolExecutor(16) as pool:
        boarded = [pool.submit(board) for _ in range(16)]
    assert 1 == sum(boarding.result() for boarding in boarded)


def test_landing_is_handed_to_followers(flights: Flights) -> None:
    """A flight brings its outcome home, and rings."""
    flight, _ = flights.board(ROUTE, here)
    bell = follower(flight)
    flights.land(flight, RECORDED, ran=True)
    assert (Landing(RECORDED, ran=True), True) == (flight.landing, rung(bell))


def test_flight_may_end_without_a_landing(flights: Flights) -> None:
    """A failed pilot lets its followers go with nothing."""
    flight, _ = flights.board(ROUTE, here)
    bell = follower(flight)
    flights.end(flight)
    assert (None, True) == (flight.landing, rung(bell))


@pytest.mark.parametrize(
    "over",
    [
        pytest.param(lambda flights, flight: flights.land(flight, RECORDED, ran=False), id="land"),
        pytest.param(lambda flights, flight: flights.end(flight), id="end"),
    ],
)
def test_next_caller_boards_anew(flights: Flights, over: Callable[[Flights, Flight], None]) -> None:
    """A flight that is over is followed by nobody."""
    over(flights, flights.board(ROUTE, here)[0])
    assert flights.board(ROUTE, here)[1]


def test_follower_who_comes_too_late_is_rung(flights: Flights) -> None:
    """Between boarding and following a flight may end, and its follower must not sleep then."""
    flight, _ = flights.board(ROUTE, here)
    flights.end(flight)
    assert rung(follower(flight))


def test_tired_follower_is_not_rung(flights: Flights) -> None:
    """Whoever left waits no more."""
    flight, _ = flights.board(ROUTE, here)
    bell = follower(flight)
    flight.unfollow(bell)
    flights.end(flight)
    assert not rung(bell)


def test_follower_may_leave_a_flight_that_is_over(flights: Flights) -> None:
    """Somebody else's thread may have rung a follower who is just leaving."""
    flight, _ = flights.board(ROUTE, here)
    bell = follower(flight)
    flights.end(flight)
    flight.unfollow(bell)
    assert rung(bell)


def test_dead_pilot_is_replaced(flights: Flights) -> None:
    """Nobody follows a pilot whose loop was closed, or whose thread has ended."""
    flights.board(ROUTE, gone)
    assert flights.board(ROUTE, here)[1]


def test_followers_of_a_dead_pilot_are_let_go(flights: Flights) -> None:
    """Whoever finds the pilot dead tells the others."""
    flight, _ = flights.board(ROUTE, gone)
    bell = follower(flight)
    flights.board(ROUTE, here)
    assert rung(bell)


def test_dead_pilot_does_not_end_the_flight_after_it(flights: Flights) -> None:
    """A pilot who was replaced, and comes back to life, ends no flight but its own."""
    replaced, _ = flights.board(ROUTE, gone)
    flight, _ = flights.board(ROUTE, here)
    flights.end(replaced)
    assert (flight, False) == flights.board(ROUTE, here)


def test_forked_child_flies_nothing(flights: Flights) -> None:
    """What was in the air at a fork is the parent's."""
    flights.board(ROUTE, here)
    flights.threads["address"] = threading.get_ident()
    flights.clear()
    assert (0, {}) == (len(flights), flights.threads)


def test_followers_come_from_everywhere(flights: Flights, threads: ThreadPoolExecutor) -> None:
    """Threads and tasks of several loops hear of one landing."""
    flight, _ = flights.board(ROUTE, here)

    def in_thread() -> bool:
        return drive(follower(flight).wait(20))

    async def in_task() -> bool:
        bell = ASYNC.bell()
        flight.follow(bell)
        return await bell.wait(20)

    followers = [threads.submit(in_thread) for _ in range(2)]
    followers += [threads.submit(lambda: asyncio.run(in_task())) for _ in range(2)]
    wait_until(lambda: len(flight._bells) == 4)
    flights.land(flight, RECORDED, ran=True)
    assert [True] * 4 == [follower.result() for follower in followers]
