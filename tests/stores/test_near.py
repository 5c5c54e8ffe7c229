"""Tests of `idemkit.stores.near`."""

import itertools
from collections.abc import Sequence
from typing import Any

import pytest

from idemkit.core.colour import drive
from idemkit.protocol import Beat, Claim, Decision, Standing
from idemkit.stores import Caller, Colour, MemoryStore, Store
from idemkit.stores.near import NearStore
from tests.commands import (
    BODY,
    FINGERPRINT,
    OTHER,
    beat,
    claim,
    completion,
    grant,
    note,
    release,
    step,
)


class Clock:
    """Milliseconds that a test moves."""

    def __init__(self) -> None:
        self.now = 1_800_000_000_000

    def __call__(self) -> int:
        """Return the time for the far store."""
        return self.now

    def seconds(self) -> float:
        """Return the time for the near cache."""
        return self.now / 1000


class Far(MemoryStore):
    """A far store: it counts its claims, and a claim takes as long as it is told."""

    name = "far"
    colour: Colour = "async"

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock=clock)
        self.clock = clock
        self.claims = 0
        self.takes = 0
        self.life: list[str] = []

    def face(self, caller: Caller, /) -> Store:
        """Note who asks."""
        self.life.append(f"face {caller}")
        return self

    async def open(self) -> None:
        """Note it."""
        self.life.append("open")

    async def close(self) -> None:
        """Note it."""
        self.life.append("close")

    async def claim(self, address: str, command: Claim, /) -> Decision:
        """Claim, and let the answer travel for a while."""
        self.claims += 1
        decision = await super().claim(address, command)
        self.clock.now += self.takes
        return decision

    def beat(self, beats: Sequence[tuple[str, Beat]], /) -> Sequence[Standing]:
        """Note how many came together."""
        self.life.append(f"beat {len(beats)}")
        return super().beat(beats)


@pytest.fixture
def clock() -> Clock:
    """Return a clock that stands still until it is moved."""
    return Clock()


@pytest.fixture
def far(clock: Clock) -> Far:
    """Return the store behind."""
    return Far(clock)


@pytest.fixture
def near(far: Far, clock: Clock) -> NearStore:
    """Return an empty cache of two records."""
    return NearStore(far, size=2, clock=clock.seconds)


def finish(store: Store, address: str = "a", **more: Any) -> None:
    """Claim and complete."""
    owned = grant(claim(), drive(store.claim(address, claim())))
    drive(store.complete(address, completion(owned, **more)))


def recalled(store: Store, address: str = "a", fingerprint: bytes = FINGERPRINT) -> bytes | None:
    """Return the body that is recalled."""
    recorded = store.recall(address, fingerprint)
    return recorded and recorded.body


def test_looks_like_the_far_store(near: NearStore) -> None:
    """Telemetry and pairing see the store behind."""
    assert ("far", "async") == (near.name, near.colour)


def test_completion_is_not_kept(near: NearStore) -> None:
    """What was really recorded is known from the first replay on."""
    finish(near)
    assert None is recalled(near)


def test_step_is_passed_on(near: NearStore, far: Far) -> None:
    """Journals are kept there alone."""
    owned = grant(claim(), drive(near.claim("a", claim())))
    standing = drive(near.step("a", step(owned, note())))
    found = drive(far.peek("a"))
    assert (Standing.HELD, (note(),)) == (standing, found and found[0].journal)


def test_replay_is_kept(near: NearStore) -> None:
    """The second replay asks nobody."""
    finish(near)
    drive(near.claim("a", claim(OTHER)))
    assert BODY == recalled(near)


def test_replay_is_kept_for_its_payload(near: NearStore) -> None:
    """Another payload is for the far store to judge."""
    finish(near)
    drive(near.claim("a", claim(OTHER)))
    assert None is recalled(near, fingerprint=b"other")


def test_outcome_ends_here_when_it_ends_there(near: NearStore, clock: Clock) -> None:
    """What is kept here is kept as long as it is replayed, and no longer."""
    finish(near, ttl=60_000)
    clock.now += 10_000
    drive(near.claim("a", claim(OTHER)))
    clock.now += 49_999
    last = recalled(near)
    clock.now += 1
    assert (BODY, None) == (last, recalled(near))


def test_answer_that_travels_does_not_live_longer(near: NearStore, far: Far, clock: Clock) -> None:
    """Time counts from before the question was sent, for nobody knows when it was answered."""
    finish(near, ttl=60_000)
    far.takes = 3_000
    drive(near.claim("a", claim(OTHER)))
    clock.now += 57_000
    assert None is recalled(near)


def test_outcome_that_ends_between_two_looks(far: Far) -> None:
    """An outcome whose time runs out while it is looked for is simply not there."""
    ticks = itertools.chain([0.0] * 3, itertools.count(59.5, 1.0))
    near = NearStore(far, size=2, clock=lambda: next(ticks))
    finish(near, ttl=60_000)
    drive(near.claim("a", claim(OTHER)))
    looks = [recalled(near) for _ in range(3)]
    assert None is looks[-1]


def test_least_recently_used_goes_first(near: NearStore) -> None:
    """The size is a number of records."""
    for address in "abc":
        finish(near, address)
    for address in "abac":
        drive(near.claim(address, claim(OTHER)))
    assert [BODY, None, BODY] == [recalled(near, address) for address in "abc"]


def test_forget_is_for_both(near: NearStore) -> None:
    """What is forgotten there is forgotten here."""
    finish(near)
    drive(near.claim("a", claim(OTHER)))
    known = drive(near.forget("a", 60_000))
    assert (True, None, False) == (known, recalled(near), drive(near.forget("a", 60_000)))


class Forgetful(Far):
    """A far store to which a claim comes just before it forgets."""

    near: NearStore

    async def forget(self, address: str, tombstone: int, /) -> bool:
        """Let a claim through first."""
        await self.near.claim(address, claim(OTHER))
        return await super().forget(address, tombstone)


def test_claim_beside_a_forget_brings_nothing_back(clock: Clock) -> None:
    """A replay that is fetched while somebody forgets does not outlive the forgetting."""
    far = Forgetful(clock)
    far.near = near = NearStore(far, size=2, clock=clock.seconds)
    finish(near)
    drive(near.forget("a", 60_000))
    assert None is recalled(near)


def test_faces_share_what_they_know(near: NearStore) -> None:
    """What a thread has replayed a task need not fetch."""
    threads, tasks = near.face("sync"), near.face("async")
    finish(threads)
    drive(threads.claim("a", claim(OTHER)))
    assert [BODY, BODY] == [recalled(tasks), recalled(near)]


def test_faces_are_of_the_far_stores_faces(near: NearStore, far: Far) -> None:
    """Each colour talks to the far store's face of that colour."""
    near.face("sync")
    near.face("async")
    assert ["face sync", "face async"] == far.life


class Hasty(Far):
    """A far store with a face that never waits."""

    @property
    def at_once(self) -> Store:
        """Note who asks."""
        self.life.append("at once")
        return self


def test_face_that_never_waits_shares_what_it_knows(clock: Clock) -> None:
    """What one has replayed the other need not fetch; the far store's own face is behind it."""
    near = NearStore(far := Hasty(clock), size=2, clock=clock.seconds)
    hasty = near.at_once
    assert hasty is not None
    finish(hasty)
    drive(hasty.claim("a", claim(OTHER)))
    assert (BODY, BODY, ["at once"]) == (recalled(hasty), recalled(near), far.life)


def test_far_store_without_such_a_face(near: NearStore) -> None:
    """Then there is none here."""
    assert None is near.at_once


def test_all_else_is_passed_on(near: NearStore, far: Far) -> None:
    """Releases, looks, beats, doorbells, opening and closing are the far store's."""
    rings: list[str] = []
    owned = grant(claim(), drive(near.claim("a", claim())))
    stop = near.watch("a", lambda: rings.append("rung"))
    drive(near.open())
    standings = near.beat([("a", beat(owned)), ("a", beat(owned))])
    released = drive(near.release("a", release(owned)))
    stop()
    seen = drive(near.peek("a"))
    drive(near.close())
    assert ["open", "beat 2", "close"] == far.life
    assert [Standing.HELD, Standing.HELD, Standing.HELD] == [*standings, released]
    assert (drive(far.peek("a")), ["rung"] * 2) == (seen, rings)


def test_fork_starts_empty(near: NearStore, far: Far) -> None:
    """A child keeps nothing that a thread of its parent's may have been changing."""
    finish(near)
    drive(near.claim("a", claim(OTHER)))
    with near._near.lock:
        near.after_fork()
    assert (None, 0) == (recalled(near), len(far))


def test_fork_leaves_a_cache_that_works(near: NearStore) -> None:
    """In a child, replays are kept as before."""
    face = near.face("sync")
    near.after_fork()
    finish(near)
    drive(near.claim("a", claim(OTHER)))
    assert BODY == recalled(face)
