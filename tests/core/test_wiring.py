"""Tests of `idemkit.core.wiring`: the parts around an engine, and what follows from them."""

import pytest

from idemkit.core.call import Call
from idemkit.core.colour import ASYNC, SYNC, Frame
from idemkit.core.feeds import Feeds
from idemkit.core.flights import Flights
from idemkit.core.lease import Keeper
from idemkit.core.telemetry import Subject
from idemkit.core.wiring import Wiring
from idemkit.stores import MemoryStore, Store
from idemkit.stores.base import Caller, Colour
from idemkit.testing import FaultyStore


def wired(store: Store) -> Wiring:
    """Return a wiring for synchronous callers."""
    return Wiring(store, SYNC, Flights(), Keeper(threaded=False), None, Feeds())


@pytest.mark.parametrize(("colour", "local"), [("any", True), ("sync", False), ("async", False)])
def test_only_memory_is_local(colour: Colour, local: bool) -> None:
    """A store that anybody may use without waiting lives in this process."""
    assert local == wired(FaultyStore(MemoryStore(), colour)).local


def test_timed_store_passes_for_the_store() -> None:
    """What telemetry watches has the name and the colour of what it watches."""
    wiring = wired(MemoryStore())
    assert (wiring.store.name, wiring.store.colour) == (wiring.timed.name, wiring.timed.colour)


def test_flight_ends() -> None:
    """Ending a flight lets its followers go."""
    wiring = wired(MemoryStore())
    flight, _ = wiring.flights.board(("address", b""), lambda: True)
    wiring.end(flight)
    assert (True, 0) == (flight.over, len(wiring.flights))


def test_no_flight_needs_no_end() -> None:
    """A call without a flight touches nobody else's."""
    wiring = wired(MemoryStore())
    other, _ = wiring.flights.board(("address", b""), lambda: True)
    wiring.end(None)
    assert not other.over


def test_subject_names_operation_store_and_digest() -> None:
    """Telemetry hears of a call what may be heard."""
    call = Call("shop.pay", "shop.pay@1:", "5eed", b"payload", {"customer.tier": "gold"})
    expected = Subject("shop.pay", "memory", "5eed", {"customer.tier": "gold"})
    assert expected == wired(MemoryStore()).subject(call)


@pytest.mark.parametrize(
    ("frame", "caller"), [(SYNC, "sync"), (SYNC, "async"), (ASYNC, "async")], ids=["ss", "sa", "aa"]
)
def test_step_goes_the_way_of_its_call(frame: Frame, caller: Caller) -> None:
    """What a call's own store serves goes there, in the call's own frame."""
    store = MemoryStore()
    wiring = Wiring(store, frame, Flights(), Keeper(threaded=False), None, Feeds())
    assert (store, frame) == wiring.for_step(caller)


def test_synchronous_step_inside_a_coroutine_blocks() -> None:
    """It goes where the beat thread goes, to a face that serves threads."""
    store, parting = FaultyStore(MemoryStore(), "async"), MemoryStore()
    wiring = Wiring(store, ASYNC, Flights(), Keeper(threaded=False), parting, Feeds())
    assert (parting, SYNC) == wiring.for_step("sync")


def test_synchronous_step_without_a_way_is_refused() -> None:
    """Where there is no such face, the error names the store and the way out."""
    store = FaultyStore(MemoryStore(), "async")
    wiring = Wiring(store, ASYNC, Flights(), Keeper(threaded=False), None, Feeds())
    with pytest.raises(TypeError, match="'memory' serves asynchronous callers only"):
        wiring.for_step("sync")
