"""What every app does, whatever its framework: it counts, it waits for the test, it answers.

A handler that takes its time follows a `Script`: the bytes it sends, with None wherever it waits a
little. `flowing` and `blocking` play a script in the two colours of Python.
"""

import asyncio
import hashlib
import json
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.conformance.notebook import Notebook

__all__ = [
    "STREAMS",
    "Answer",
    "a_file",
    "after",
    "answer",
    "blocking",
    "flowing",
    "script",
    "upload",
]

MOMENT = 0.002
"""Seconds between two looks at the gate, and between two chunks."""

JSON = ("Content-Type", "application/json")
BINARY = ("Content-Type", "application/octet-stream")

Script = Iterator[bytes | None]

notebook = Notebook(Path(os.environ["CONFORMANCE_FOLDER"]))


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def _document(number: int, **members: Any) -> bytes:
    return json.dumps({"n": number, **members}).encode()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _repeated(number: int) -> Iterator[tuple[str, str]]:
    for each in ("a", "b"):
        yield "Link", f'</{each}/{number}>; rel="{each}"'
        yield "X-Many", f"{each}{number}"
        yield "Set-Cookie", f"{each}={number}; Path=/"


ANSWERS: dict[str, Callable[[int], Answer]] = {
    "created": lambda n: Answer(201, (JSON, ("Location", f"/things/{n}")), _document(n)),
    "many": lambda n: Answer(200, (JSON, *_repeated(n)), _document(n)),
    "empty": lambda _: Answer(204, (), b""),
    "elsewhere": lambda n: Answer(303, (("Location", f"/things/{n}"),), b""),
    "payment": lambda n: Answer(402, (JSON,), _document(n)),
    "binary": lambda n: Answer(200, (BINARY,), bytes(range(256)) + bytes([n])),
    "big": lambda n: Answer(200, (BINARY,), bytes([n]) * 3_000_000),
    "failure": lambda n: Answer(500, (JSON,), _document(n)),
}
"""What is answered by the number of the execution alone."""


def answer(work: str, case: str, body: bytes) -> Answer:
    """Do a piece of work that is done at once."""
    number = notebook.enter(work, case)
    if work == "error":
        raise RuntimeError("before the answer has begun")
    if work in ANSWERS:
        return ANSWERS[work](number)
    return Answer(200, (JSON,), _document(number, size=len(body), digest=_digest(body)))


def upload(case: str, *, name: str, content: bytes, note: str) -> bytes:
    """Receive a file and a field; return JSON."""
    number = notebook.enter("upload", case)
    return _document(number, name=name, size=len(content), digest=_digest(content), note=note)


def a_file(case: str) -> str:
    """Return the path of the file to send, which is this one."""
    notebook.enter("file", case)
    return __file__


def after(case: str) -> None:
    """Do what is to be done in the background."""
    notebook.enter("after", case)


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer that is sent in pieces.

    Args:
        pieces: What is sent by the execution of a number.
        gate: How many pieces do not wait for the gate.
        moments: How many it takes to make one.
        breaks: Whether the handler fails in the end.
    """

    pieces: Callable[[int], list[str]]
    media_type: str = "text/plain"
    gate: int = 0
    moments: int = 1
    breaks: bool = False


EVENTS = Stream(
    lambda n: [f"data: {n}.{event}\n\n" for event in range(11)], "text/event-stream", gate=3
)
STREAMS = {
    "events": EVENTS,
    "lengthy": replace(EVENTS, moments=50),
    "slow": Stream(lambda n: [f'{{"n": {n}}}']),
    "impatient": Stream(lambda n: [f'{{"n": {n}}}']),
    "chunked": Stream(lambda n: [f"{n}.{chunk};" * 100 for chunk in range(5)]),
    "broken": Stream(lambda n: [f"{n} and then"], breaks=True),
    "plain": Stream(lambda _: [f"plain {chunk};" for chunk in range(5)]),
}


def script(work: str, case: str, *, gated: bool) -> Script:
    """Begin a piece of work that is done in pieces."""
    stream = STREAMS[work]
    pieces = stream.pieces(notebook.enter(work, case))
    for number, piece in enumerate(pieces):
        while gated and number >= stream.gate and not notebook.is_open(case):
            yield None
        yield piece.encode()
        yield from [None] * stream.moments
    if stream.breaks:
        raise RuntimeError("after the answer has begun")


async def flowing(script: Script) -> AsyncIterator[bytes]:
    """Play a script in a coroutine."""
    for chunk in script:
        if chunk is None:
            await asyncio.sleep(MOMENT)
        else:
            yield chunk


def blocking(script: Script) -> Iterator[bytes]:
    """Play a script in a thread."""
    for chunk in script:
        if chunk is None:
            time.sleep(MOMENT)
        else:
            yield chunk
