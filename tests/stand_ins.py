"""Stand-ins for time and trouble that are not for users: waiting in tasks, and forked children."""

import asyncio
import os
import signal
import warnings
from collections.abc import Callable

from idemkit.testing.faults import Mishap, followed_by
from tests.servers import DEADLINE


def suspended_until(event: asyncio.Event) -> Mishap:
    """Return the mishap that the answer keeps its caller waiting."""
    return followed_by(event.wait)


async def reached(condition: Callable[[], object]) -> None:
    """Return as soon as `condition()` holds, while other tasks go on."""
    async with asyncio.timeout(DEADLINE):
        while not condition():  # noqa: ASYNC110 - what is looked at sets no event
            await asyncio.sleep(0)


def in_child(function: Callable[[], object]) -> str:
    """Return, as text, what `function` returns in a forked child; "" if it does not return."""
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside threads
        child = os.fork()
    if child == 0:
        try:
            signal.alarm(20)
            os.write(writer, str(function()).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as answer:
        text = answer.read().decode()
    os.waitpid(child, 0)
    return text
