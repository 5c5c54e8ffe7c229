"""What is left of a client that was closed: nothing."""

import asyncio
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from examples.local_llm import LocalLLM, Slow
from idemkit import Idempotency
from tests.sdks.talks import Ask, Colour, Site, Talk, Way


def sockets() -> set[str]:
    """Return the sockets that this process has open, by their names."""
    names = set()
    for link in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # what the list itself was read through
            names.add(str(link.readlink()))
    return {name for name in names if name.startswith("socket:")}


@pytest.mark.parametrize("way", ["injected", "wrapped"])
async def test_closed(ask: Ask, colour: Colour, way: Way) -> None:
    """A client that is closed while its request runs leaves no task, thread or socket behind."""
    before, tasks = sockets(), asyncio.all_tasks()
    with LocalLLM(tokens_per_second=0) as llm:
        async with Idempotency("memory://") as idem:
            site = Site(llm.url, colour == "sync", timeout=0.1)
            talk = Talk(ask, site, idem, way, derive="request")
            llm.script(Slow(first=0.3))
            with pytest.raises(Exception):  # noqa: B017, PT011 - each package has its own
                await talk.whole()
            await talk.close()
    await asyncio.sleep(0)
    left = {thread.name for thread in threading.enumerate() if "idemkit" in thread.name}
    # One thread renews the claims of the whole process, for as long as that lives.
    assert (before, tasks, set()) == (sockets(), asyncio.all_tasks(), left - {"idemkit-beat"})
