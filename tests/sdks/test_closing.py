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
            with suppress(Exception):  # some packages try again, whatever they are told
                await talk.whole()
            await talk.close()
    await asyncio.sleep(0)
    threads = {thread.name for thread in threading.enumerate() if "idemkit" in thread.name}
    # LiteLLM's own worker writes its log for as long as the loop runs, and one thread renews the
    # claims of the whole process.
    begun = {task for task in asyncio.all_tasks() - tasks if "litellm" not in repr(task)}
    assert (set(), set(), set()) == (sockets() - before, begun, threads - {"idemkit-beat"})
