"""Tests of `idemkit.stores.rings`."""

import threading
from concurrent.futures import ThreadPoolExecutor

from idemkit.stores.rings import Rings


def test_nobody_waits() -> None:
    """A ring that nobody waits for goes nowhere, and leaves nothing behind."""
    rings = Rings()
    rings.ring("a")
    assert {} == rings._waiting


def test_everybody_at_an_address_hears() -> None:
    """All who wait are called, in the order in which they came; others are not."""
    rings, heard = Rings(), list[str]()
    rings.add("a", lambda: heard.append("first"))
    rings.add("b", lambda: heard.append("elsewhere"))
    rings.add("a", lambda: heard.append("second"))
    rings.ring("a")
    assert ["first", "second"] == heard


def test_who_has_left_hears_nothing() -> None:
    """The function that `add` returns ends it, for that one only."""
    rings, heard = Rings(), list[str]()
    leave = rings.add("a", lambda: heard.append("left"))
    rings.add("a", lambda: heard.append("stayed"))
    leave()
    rings.ring("a")
    assert ["stayed"] == heard


def test_leaving_twice_does_no_harm() -> None:
    """Neither while others wait nor when nobody does."""
    rings, heard = Rings(), list[str]()
    leave = rings.add("a", lambda: heard.append("left"))
    stay = rings.add("a", lambda: heard.append("stayed"))
    leave()
    leave()
    rings.ring("a")
    stay()
    stay()
    assert (["stayed"], {}) == (heard, rings._waiting)


def test_same_callback_twice_is_two_waiters() -> None:
    """One of them may leave without the other."""
    rings, heard = Rings(), list[str]()

    def ring() -> None:
        heard.append("rung")

    leave = rings.add("a", ring)
    rings.add("a", ring)
    leave()
    rings.ring("a")
    assert ["rung"] == heard


def test_addresses_are_those_that_somebody_waits_for() -> None:
    """Each is named once, and only as long as its last waiter stays."""
    rings, ring = Rings(), list[str]
    leave = [rings.add(address, ring) for address in "aba"]
    everybody = rings.addresses()
    leave[0]()
    leave[1]()
    assert (("a", "b"), ("a",)) == (everybody, rings.addresses())


def test_leaving_while_it_rings() -> None:
    """A waiter may leave from inside its own callback: no lock is held then."""
    rings, heard = Rings(), list[str]()

    def ring() -> None:
        heard.append("rung")
        leave()

    leave = rings.add("a", ring)
    rings.ring("a")
    rings.ring("a")
    assert ["rung"] == heard


def test_threads_come_and_go() -> None:
    """Whoever is there before a ring hears it, whatever other threads do."""
    rings, together = Rings(), threading.Barrier(8)

    def come_and_go(_: int) -> int:
        heard = 0
        together.wait()
        for _ in range(200):
            bell = threading.Event()
            leave = rings.add("a", bell.set)
            rings.ring("a")
            heard += bell.is_set()
            leave()
        return heard

    with ThreadPoolExecutor(8) as pool:
        counts = list(pool.map(come_and_go, range(8)))
    assert ([200] * 8, {}) == (counts, rings._waiting)
