"""The interleavings find what is planted: each mutant has one line of the real thing wrong."""

import math
from collections.abc import Sequence

import pytest

from idemkit.core.feeds import Feed
from idemkit.core.reading import Reader
from idemkit.core.recording import Recorder
from idemkit.core.result import Result
from idemkit.protocol import PAGE_CHUNKS, Page, Read, Situation
from tests.interleavings.scenes import CALM, DEADLY, Parts, Scene, Weather

SCENES = 100


class Silent(Feed):
    """A feed that tells nobody of a chunk."""

    def add(self, chunk: bytes) -> None:
        """Take it in, and nothing else."""
        listeners, self._listeners = self._listeners, set()
        super().add(chunk)
        self._listeners = listeners


class Hasty(Feed):
    """A feed that lets go of chunks which the store does not have."""

    def release(self, upto: int) -> None:
        """Let go of them all."""
        super().release(upto + self.length)


class Overwriting(Feed):
    """A feed that forgets a ring which came while somebody asked the store."""

    def end_fetch(self, page: Page | None, look_at: float) -> None:
        """Overwrite what the ring has said."""
        self.look_at = math.inf
        super().end_fetch(page, look_at)


class Selfish(Feed):
    """A feed whose readers do not hear of what one of them fetched."""

    def end_fetch(self, page: Page | None, look_at: float) -> None:
        """Tell nobody."""
        listeners, self._listeners = self._listeners, set()
        super().end_fetch(page, look_at)
        self._listeners = listeners


class Rash(Reader):
    """A reader that does not look again between saying that it waits and waiting."""

    async def next(self, until: float = float("inf")) -> Sequence[bytes]:
        """Look once."""
        while True:
            end = self.feed.end
            chunks = self.feed.after(self.number, PAGE_CHUNKS)
            if chunks or end is not None or self._ended(self.feed.page) or chunks is None:
                return await super().next(until)
            self.waiting = True
            await self._wait(until)


class Late(Reader):
    """A reader that asks whether there is an end after it has looked for chunks."""

    async def next(self, until: float = float("inf")) -> Sequence[bytes]:
        """Look for chunks first."""
        chunks = self.feed.after(self.number, PAGE_CHUNKS)
        if not chunks and self.feed.end is not None and self.feed.end.error is None:
            return ()
        return await super().next(until)


class Early(Reader):
    """A reader that takes a finished record for its own end."""

    def _ended(self, page: Page | None) -> bool:
        return (page is not None and page.situation is Situation.DONE) or super()._ended(page)


class Splicing(Reader):
    """A reader that takes chunks of whoever owns the call now."""

    async def _ask(self, after: int) -> Page:
        page = await self._wiring.store.read(self._call.address, Read(0, after))
        return page._replace(epoch=self.feed.epoch)


class Careless(Recorder):
    """A recorder that does not wait for what is on its way."""

    async def close(self, codec: str) -> Result:
        """Return at once."""
        self._stopped = True
        return await super().close(codec)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("parts", "weather"),
    [
        pytest.param(Parts(feed=Silent), CALM, id="silent"),
        pytest.param(Parts(feed=Hasty), CALM, id="hasty"),
        pytest.param(Parts(feed=Overwriting), CALM, id="overwriting"),
        pytest.param(Parts(feed=Selfish), CALM, id="selfish"),
        pytest.param(Parts(reader=Rash), CALM, id="rash"),
        pytest.param(Parts(reader=Late), CALM, id="late"),
        pytest.param(Parts(reader=Early), CALM, id="early"),
        pytest.param(Parts(recorder=Careless), CALM, id="careless"),
        pytest.param(Parts(reader=Splicing), DEADLY, id="splicing"),
    ],
)
def test_mutant_is_found(parts: Parts, weather: Weather) -> None:
    """Some order of things shows what is wrong."""
    assert [seed for seed in range(SCENES) if not survived(seed, weather, parts)]


def survived(seed: int, weather: Weather, parts: Parts) -> bool:
    """Say whether all that is promised was kept in one run."""
    try:
        Scene(seed, weather, parts).run()
    except AssertionError:
        return False
    return True
