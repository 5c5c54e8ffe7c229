"""Tests of `idemkit.core.feeds`: the latest chunks of a sequence, for its readers here."""

from collections.abc import Callable
from typing import Any

import pytest

from idemkit.core import feeds
from idemkit.core.feeds import End, Feed, Feeds
from idemkit.protocol import Page, Situation

PAGE = Page(Situation.RUNNING, 7, 3, 1000)
LIMIT = 100


class Ear:
    """A listener that counts its rings.

    Args:
        number: How far it has come.
        waiting: Whether it waits.
    """

    def __init__(self, number: int = 0, *, waiting: bool = True) -> None:
        self.bell: Any = self
        self.number = number
        self.waiting = waiting
        self.rings = 0

    def ring(self) -> None:
        """Count."""
        self.rings += 1


class Doorbell:
    """What a store's doorbell looks like to feeds."""

    def __init__(self) -> None:
        self.rings: list[Callable[[], None]] = []
        self.stopped = 0

    def watch(self, _address: str, ring: Callable[[], None]) -> Callable[[], None]:
        """Remember who listens."""
        self.rings.append(ring)
        return self._stop

    def _stop(self) -> None:
        self.stopped += 1


def produced(*chunks: bytes) -> Feed:
    """Return the feed of a producer that has begun."""
    feed = Feed(7, alive=lambda: True)
    for chunk in chunks:
        feed.add(chunk)
    return feed


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep four chunks of each sequence."""
    monkeypatch.setattr(feeds, "TAIL_CHUNKS", 4)


# ------------------------------------------------------------------------------ chunks


def test_chunks_come_in_order() -> None:
    """Whoever has some gets the others, as many as they want."""
    feed = produced(b"a", b"b", b"c")
    assert ([b"b", b"c"], [b"b"], []) == (feed.after(1, 9), feed.after(1, 1), feed.after(3, 9))


def test_known_chunks_are_not_taken_in_again() -> None:
    """Two who asked the store at once share what both were told."""
    feed = Feed(7)
    feed.extend(1, [b"a", b"b"])
    feed.extend(2, [b"b", b"c"])
    assert ([b"a", b"b", b"c"], 3, 3) == (feed.after(0, LIMIT), feed.length, feed.size)


def test_feed_may_begin_in_the_middle() -> None:
    """Who goes on from a cursor does not need what came before."""
    feed = Feed(7, 5)
    feed.extend(6, [b"f"])
    assert (None, [b"f"], 6) == (feed.after(4, LIMIT), feed.after(5, LIMIT), feed.length)


@pytest.mark.usefixtures("short")
def test_unrecorded_chunks_are_kept() -> None:
    """What the store does not have is nowhere else."""
    feed = produced(*[b"x"] * 9)
    feed.release(0)
    assert (0, 9) == (feed.dropped, feed.size)


@pytest.mark.usefixtures("short")
def test_recorded_chunks_go() -> None:
    """What the store has is dropped by the half, until little enough is left."""
    feed = produced(*[b"x"] * 9)
    feed.release(9)
    assert (5, 4, 9) == (feed.dropped, feed.size, feed.length)


@pytest.mark.usefixtures("short")
def test_only_recorded_chunks_go() -> None:
    """The rest of too much stays."""
    feed = produced(*[b"x"] * 9)
    feed.release(2)
    assert (2, 7) == (feed.dropped, feed.size)


def test_large_chunk_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes count as much as chunks."""
    monkeypatch.setattr(feeds, "TAIL_BYTES", 10)
    feed = produced(b"a", b"b", b"x" * 11)
    feed.release(3)
    assert (3, 0) == (feed.dropped, feed.size)


@pytest.mark.usefixtures("short")
def test_what_has_just_come_from_the_store_stays() -> None:
    """Whoever waited for it gets it here."""
    feed = Feed(7)
    feed.extend(1, [b"x"] * 9)
    feed.extend(10, [b"y"] * 9)
    assert (5, [b"y"] * 9) == (feed.dropped, feed.after(9, LIMIT))


def test_released_chunks_can_be_retained() -> None:
    """A store that has lost a short sequence gets it again."""
    feed = produced(b"a", b"b")
    feed.release(2)
    assert feed.retain()


@pytest.mark.usefixtures("short")
def test_retained_chunks_stay() -> None:
    """They are needed again until they are released again."""
    feed = produced(*[b"x"] * 4)
    feed.release(4)
    feed.retain()
    feed.add(b"x")
    feed.release(0)
    assert (0, 5) == (feed.dropped, feed.size)


@pytest.mark.usefixtures("short")
def test_dropped_chunks_cannot_be_retained() -> None:
    """A long sequence is lost with its store."""
    feed = produced(*[b"x"] * 9)
    feed.release(9)
    assert not feed.retain()


# ----------------------------------------------------------------------------- readers


def test_only_who_waits_is_rung() -> None:
    """A reader with something to do looks for itself, and a ring is for once."""
    feed, waiting, busy = produced(), Ear(), Ear(waiting=False)
    feed.listen(waiting)
    feed.listen(busy)
    feed.add(b"a")
    feed.add(b"b")
    assert (1, False, 0) == (waiting.rings, waiting.waiting, busy.rings)


def test_who_has_left_is_not_rung() -> None:
    """Whoever reads no more hears nothing."""
    feed, ear = produced(), Ear()
    feed.listen(ear)
    feed.leave(ear)
    feed.add(b"a")
    assert (0, False) == (ear.rings, feed.followed)


def test_end_is_rung() -> None:
    """Whoever waits for more hears that there is none."""
    feed, ear = produced(), Ear()
    feed.listen(ear)
    feed.finish(End())
    assert (End(), 1) == (feed.end, ear.rings)


def test_desertion_is_told_once_the_last_has_left() -> None:
    """Some producers go on for their readers only."""
    feed, first, last, told = produced(), Ear(), Ear(), []
    feed.on_deserted = lambda: told.append(feed.followed)
    feed.listen(first)
    feed.listen(last)
    feed.leave(first)
    before = list(told)
    feed.leave(last)
    assert ([], [False]) == (before, told)


def test_consumer_says_how_far_it_has_come() -> None:
    """Once it has left, nobody needs anything."""
    feed, ear = produced(b"a", b"b", b"c"), Ear(1)
    feed.consumer = ear
    feed.listen(ear)
    while_there = feed.consumed()
    feed.leave(ear)
    assert (1, 3) == (while_there, feed.consumed())


@pytest.mark.parametrize(
    ("alive", "end", "live", "over"),
    [
        (None, None, False, False),
        (True, None, True, False),
        (False, None, False, True),
        (True, End(), False, True),
    ],
)
def test_feed_knows_who_feeds_it(
    alive: bool | None, end: End | None, live: bool, over: bool
) -> None:
    """It is live while its producer is, and over when that has ended, however it did."""
    feed = Feed(7, alive=None if alive is None else lambda: alive)
    feed.end = end
    assert (live, over) == (feed.live, feed.over)


# ----------------------------------------------------------------------------- fetches


def test_one_reader_asks_for_all() -> None:
    """While somebody asks the store, nobody else does."""
    feed = Feed(7)
    assert [True, False] == [feed.begin_fetch(0.0, 30.0) for _ in range(2)]


def test_fetch_that_never_ends_is_given_up() -> None:
    """Who asks may vanish with its event loop: after a while somebody else may try."""
    feed = Feed(7)
    feed.begin_fetch(0.0, 30.0)
    assert feed.begin_fetch(30.0, 30.0)


def test_fetch_is_shared() -> None:
    """What one was told all know, and hear of."""
    feed, ear = Feed(7), Ear()
    feed.listen(ear)
    feed.begin_fetch(0.0, 30.0)
    feed.end_fetch(PAGE, 12.0)
    assert (PAGE, 12.0, 1, True) == (feed.page, feed.look_at, ear.rings, feed.begin_fetch(0.0, 1.0))


def test_fetch_in_vain_changes_nothing() -> None:
    """What was known stays known, and the next may try at once."""
    feed = Feed(7)
    feed.end_fetch(PAGE, 12.0)
    feed.begin_fetch(0.0, 30.0)
    feed.end_fetch(None, 0.0)
    assert (PAGE, 0.0) == (feed.page, feed.look_at)


def test_ring_during_a_fetch_is_for_another() -> None:
    """The answer may be older than the ring."""
    feed = Feed(7)
    feed.begin_fetch(0.0, 30.0)
    feed.rung()
    feed.end_fetch(PAGE, 12.0)
    assert 0.0 == feed.look_at


def test_failing_counts_from_the_first_time() -> None:
    """All readers here wait for one store, and lose patience together."""
    feed = Feed(7)
    assert [0.0, 5.0] == [feed.failing(10.0), feed.failing(15.0)]


# ------------------------------------------------------------------------------- feeds


def test_readers_of_one_sequence_share_a_feed() -> None:
    """They listen at the store once, until the last has left."""
    feeds, door = Feeds(), Doorbell()
    first, second = (feeds.follow("a", 7, 0, door.watch) for _ in range(2))
    feeds.leave("a", first)
    before = door.stopped
    feeds.leave("a", second)
    assert (True, 1, 0, 1, 0) == (
        first is second,
        len(door.rings),
        before,
        door.stopped,
        len(feeds),
    )


def test_readers_are_fed_by_a_producer_here() -> None:
    """They need not listen at the store."""
    feeds, door = Feeds(), Doorbell()
    produced = feeds.produce("a", 7, lambda: True)
    assert (produced, []) == (feeds.follow("a", 7, 0, door.watch), door.rings)


def test_feed_outlives_its_producer() -> None:
    """Readers may still have some way to go."""
    feeds = Feeds()
    feed = feeds.join(feeds.produce("a", 7, lambda: True))
    feeds.leave("a", feed)
    before = len(feeds)
    feeds.leave("a", feed)
    assert (1, 0) == (before, len(feeds))


@pytest.mark.parametrize("dead", [True, False])
def test_who_comes_after_the_end_asks_the_store(dead: bool) -> None:
    """A feed that is over has no news, and others may still hold it."""
    feeds, door = Feeds(), Doorbell()
    old = feeds.produce("a", 7, lambda: not dead)
    if not dead:
        old.finish(End())
    new = feeds.follow("a", 7, 0, door.watch)
    feeds.leave("a", old)
    assert (True, 1, 1) == (new is not old, len(door.rings), len(feeds))


def test_producer_takes_the_place_of_a_feed() -> None:
    """A reader may know of an owner here before that one begins; it goes on listening."""
    feeds, door = Feeds(), Doorbell()
    followed = feeds.follow("a", 7, 0, door.watch)
    produced = feeds.produce("a", 7, lambda: True)
    feeds.leave("a", produced)
    before = door.stopped
    feeds.leave("a", followed)
    assert (0, 1, 0) == (before, door.stopped, len(feeds))


def test_who_comes_asks_anew() -> None:
    """What the store said last may be why they come."""
    feeds, door = Feeds(), Doorbell()
    feed = feeds.follow("a", 7, 0, door.watch)
    feed.end_fetch(PAGE, 12.0)
    feed.look_at = 12.0
    feeds.follow("a", 7, 0, door.watch)
    assert (None, 0.0) == (feed.page, feed.look_at)


def test_store_rings_the_readers() -> None:
    """A ring means another look, at once."""
    feeds, door, ear = Feeds(), Doorbell(), Ear()
    feed = feeds.follow("a", 7, 0, door.watch)
    feed.listen(ear)
    feed.look_at = 12.0
    door.rings[0]()
    assert (0.0, 1) == (feed.look_at, ear.rings)


def test_forked_child_is_fed_by_nobody() -> None:
    """Producers, listeners and locks are the parent's."""
    feeds, ear = Feeds(), Ear()
    feed = feeds.produce("a", 7, lambda: True)
    feed.listen(ear)
    feed.consumer = ear
    feed._lock.acquire()
    feeds.clear()
    feed.add(b"a")
    assert (0, False, True, 0, 1) == (
        len(feeds),
        feed.live,
        feed.over,
        ear.rings,
        feed.consumed(),
    )


def test_forked_child_reads_on() -> None:
    """What another process produces is asked for at once."""
    feeds = Feeds()
    feed = feeds.follow("a", 7, 0, Doorbell().watch)
    feed.look_at = 12.0
    feeds.clear()
    assert (0.0, False) == (feed.look_at, feed.over)
