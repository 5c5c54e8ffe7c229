"""A real store whose answers get lost on the way, when and as a plan says."""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from idemkit.errors import StoreUnavailableError
from idemkit.protocol import Beat, Claim, Completion, Decision, Record, Release, Standing
from idemkit.stores import Store
from idemkit.stores.base import Caller
from tests.gauntlet.crowds import DEADLINE


class Plan:
    """What goes wrong with each verb, and a count of how often each was used."""

    def __init__(self) -> None:
        self._lost_requests: Counter[str] = Counter()
        self._lost_replies: Counter[str] = Counter()
        self.uses: Counter[str] = Counter()
        self._changed = threading.Condition()

    def lose_requests(self, verb: str, times: int) -> None:
        """Let the next uses of a verb fail without effect."""
        self._lost_requests[verb] = times

    def lose_replies(self, verb: str, times: int) -> None:
        """Let the next uses of a verb fail although they took effect."""
        self._lost_replies[verb] = times

    def until(self, verb: str, uses: int) -> None:
        """Wait until a verb was used so many times in all.

        Raises:
            AssertionError: That took too long.
        """
        with self._changed:
            assert self._changed.wait_for(lambda: self.uses[verb] >= uses, DEADLINE), verb

    def request(self, verb: str) -> None:
        """Lose the request, if that is the plan."""
        if self._lost_requests[verb] > 0:
            self._lost_requests[verb] -= 1
            self.used(verb)
            raise StoreUnavailableError(f"the request of {verb} was lost")

    def reply(self, verb: str) -> None:
        """Lose the reply, if that is the plan."""
        self.used(verb)
        if self._lost_replies[verb] > 0:
            self._lost_replies[verb] -= 1
            raise StoreUnavailableError(f"the reply to {verb} was lost")

    def used(self, verb: str) -> None:
        """Take note that a verb was used."""
        with self._changed:
            self.uses[verb] += 1
            self._changed.notify_all()


class Disturbed(Store):
    """Passes every verb on to a real store, as far as the plan lets it.

    Args:
        store: The store behind.
        plan: What goes wrong.
    """

    def __init__(self, store: Store, plan: Plan) -> None:
        self._store = store
        self._plan = plan
        self.name = store.name
        self.colour = store.colour

    def face(self, caller: Caller, /) -> Store:
        """Return the face of the store behind, disturbed by the same plan."""
        return Disturbed(self._store.face(caller), self._plan)

    async def claim(self, address: str, command: Claim, /) -> Decision:
        """Pass on."""
        return await self._pass("claim", address, command)

    async def complete(self, address: str, command: Completion, /) -> Standing:
        """Pass on."""
        return await self._pass("complete", address, command)

    async def release(self, address: str, command: Release, /) -> Standing:
        """Pass on."""
        return await self._pass("release", address, command)

    async def peek(self, address: str, /) -> tuple[Record, int] | None:
        """Pass on."""
        return await self._pass("peek", address)

    def beat(self, beats: Sequence[tuple[str, Beat]], /) -> Sequence[Standing]:
        """Pass on."""
        self._plan.request("beat")
        standings = self._store.beat(beats)
        self._plan.reply("beat")
        return standings

    def watch(self, address: str, ring: Callable[[], None], /) -> Callable[[], None]:
        """Pass on."""
        stop = self._store.watch(address, ring)
        self._plan.used("watch")
        return stop

    async def close(self) -> None:
        """Pass on."""
        await self._store.close()

    async def _pass(self, verb: str, *words: Any) -> Any:
        self._plan.request(verb)
        answer = await getattr(self._store, verb)(*words)
        self._plan.reply(verb)
        return answer
