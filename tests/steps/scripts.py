"""Bodies that take steps, written once for both colours.

A script is a generator function: it yields what it wants done and gets the result.

    def pay():
        receipt = yield Take("charge", charge, (amount,))
        return receipt
"""

from collections.abc import Callable, Generator
from typing import Any, Final, NamedTuple, TypeAlias

import pytest

from idemkit import step
from idemkit.core.colour import drive
from idemkit.core.execution import current_execution
from idemkit.protocol import Grant, Record
from tests import commands
from tests.doors import Door

ONCE: Final = {"delivery": "at_most_once"}


class Take(NamedTuple):
    """One step: its name, what to do, what to do it with, and the options of `step`."""

    name: str
    function: Callable[..., Any]
    args: tuple[Any, ...] = ()
    options: dict[str, Any] = {}  # noqa: RUF012 - nobody writes to it


Script: TypeAlias = Callable[..., Generator[Take, Any, Any]]


class Deeds:
    """Count what was really done, and fail where told to.

    Args:
        failures: What each deed raises the next times, by its word.
    """

    def __init__(self, **failures: list[BaseException]) -> None:
        self.done: list[str] = []
        self._failures = failures

    def do(self, word: str) -> str:
        """Do it."""
        self.done.append(word)
        planned = self._failures.get(word)
        if planned:
            raise planned.pop(0)
        return f"{word} {self.done.count(word)}"


class Order:
    """A call of three steps, each with its options.

    Args:
        deeds: What they do.
        options: Of the steps, by the words of what they do.
    """

    def __init__(self, deeds: Deeds, **options: dict[str, Any]) -> None:
        self.deeds = deeds
        self.options = options

    def script(self) -> Generator[Take, Any, list[str]]:
        """Charge, pack and mail."""
        results = []
        for word in ("charge", "pack", "mail"):
            done = yield Take(word, self.deeds.do, (word,), self.options.get(word, {}))
            results.append(done)
        return results


def play(script: Script) -> Any:
    """Play a script in a function."""
    acts = script()
    try:
        take = next(acts)
        while True:
            try:
                value = step(take.name, take.function, *take.args, **take.options)
            except Exception as error:  # noqa: BLE001 - for the script to handle
                take = acts.throw(error)
            else:
                take = acts.send(value)
    except StopIteration as end:
        return end.value


async def play_async(script: Script, door: Door) -> Any:
    """Play a script in a coroutine function."""
    acts = script()
    try:
        take = next(acts)
        while True:
            try:
                function = door.tinted(take.function)
                value = await step(take.name, function, *take.args, **take.options)
            except Exception as error:  # noqa: BLE001 - likewise
                take = acts.throw(error)
            else:
                take = acts.send(value)
    except StopIteration as end:
        return end.value


def guarded(door: Door, script: Script, **options: Any) -> Any:
    """Return a guarded function, of the door's colour, that plays a script."""

    def body() -> Any:
        return play(script)

    async def body_async() -> Any:
        return await play_async(script, door)

    options.setdefault("name", "shop.pay")
    guard = door.idempotency.idempotent(**options)
    return guard(body) if door.colour == "sync" else guard(body_async)


def fails(door: Door, call: Any, error: type[BaseException]) -> Any:
    """Make a call that must fail, and return its error."""
    with pytest.raises(error) as caught:
        door.run(call())
    return caught.value


def address_of(call: Any) -> str:
    """Return where the record of a call without arguments is kept."""
    return str(call.key()).rpartition(":")[2]


def record_of(door: Door, call: Any) -> Record:
    """Return what is kept of a call without arguments."""
    found = drive(door.memory.peek(address_of(call)))
    assert found is not None
    return found[0]


def overtaken(door: Door, call: Any) -> Grant:
    """Let somebody else run a call without arguments, and return what they hold."""
    command = commands.claim(fingerprint=b"")
    return commands.grant(command, drive(door.memory.claim(address_of(call), command)))


def expire_within(door: Door) -> None:
    """Let the lease of what runs here end, on the store's clock and to its owner's knowledge."""
    execution = current_execution()
    assert execution is not None
    execution._valid_until = 0.0
    door.clock.advance(31)
