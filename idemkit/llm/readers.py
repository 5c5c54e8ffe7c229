"""How answers of each kind are read as they come: when they are whole, when they failed.

What reads an answer sees every part of it, so it looks for a few bytes before it reads anything,
and keeps no more than it has to.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Final

from .answers import result_of
from .marks import DONE, LINES, marks_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .answers import Findings

__all__ = ["LARGEST", "Reader", "reader"]

LARGEST: Final = 16 * 1024 * 1024
"""Bytes of a document or of an event, above which it is not read."""

_TERMINAL: Final = {
    "chat.completions": frozenset({"[DONE]"}),
    "completions": frozenset({"[DONE]"}),
    "messages": frozenset({"message_stop"}),
    "responses": frozenset({"response.completed", "response.incomplete"}),
}
_FAILING: Final = frozenset({"error", "response.cancelled", "response.failed"})
_FAILED: Final = ("cancelled", "failed")

_BOM: Final = b"\xef\xbb\xbf"
# No JSON that a model's endpoint answers begins like a field of an event: `data:`, `event:`,
# `id:`, `retry:`, or a comment.
_OF_EVENTS: Final = tuple(b"deir:")
_OF_JSON: Final = tuple(b"{[")


class Reader:
    """Reads an answer of which nothing is known: it is whole when it ends.

    Args:
        name: The profile of the request.
        findings: What the answer says of itself is added here.
    """

    def __init__(self, name: str, findings: Findings) -> None:
        self.complete: bool = False
        self.failed: bool = False
        self._name = name
        self._findings = findings

    def take(self, chunk: bytes) -> None:
        """Look at what comes next."""

    def end(self) -> None:
        """Take note that nothing more comes."""
        self._judge(whole=True)

    def _judge(self, *, whole: bool, failed: bool = False) -> None:
        self.failed = self.failed or failed
        self.complete = whole and not self.failed

    def _read(self, text: bytes) -> Any:
        """Return what JSON says, after a note of it; None if it is no JSON."""
        try:
            said = json.loads(text)
        except (RecursionError, ValueError):
            return None
        # Gemini streams an array of answers if it is not asked for events.
        for part in said if isinstance(said, list) else (said,):
            if isinstance(part, dict):
                self._findings.add(part)
                self._judge(whole=False, failed=self._is_failure(part))
        return said

    def _is_failure(self, said: dict[str, Any]) -> bool:
        if self._name == "responses" and said.get("status") in _FAILED:
            return True
        if "error" in (said.get("type"), said.get("object")) or _is_error(said.get("error")):
            return True
        return "error" in result_of(said).finish_reasons


class Document(Reader):
    """Reads an answer that is one JSON text: it is whole if it can be read."""

    def __init__(self, name: str, findings: Findings) -> None:
        super().__init__(name, findings)
        self._parts: list[bytes] = []
        self._size = 0

    def take(self, chunk: bytes) -> None:
        """Keep what comes next; of what is too large only its end."""
        self._size += len(chunk)
        if self._size > LARGEST:
            if not chunk.strip():
                return  # which is not what it ends with
            self._parts.clear()
        self._parts.append(chunk)

    def end(self) -> None:
        """Read it."""
        text = b"".join(self._parts)
        self._parts.clear()
        if self._size > LARGEST:
            self._judge(whole=text.rstrip().endswith((b"}", b"]")))
        else:
            self._judge(whole=self._read(text) is not None)


class ForeignDocument(Document):
    """Reads a JSON text of which nothing is known: HTTP says that it is whole, and that it failed.

    What it says of its tokens is found all the same.
    """

    def end(self) -> None:
        """Read it if it can be read."""
        super().end()
        self._judge(whole=True)

    def _is_failure(self, said: dict[str, Any]) -> bool:  # noqa: ARG002 - whatever it says
        return False


class _Sequence(Reader, ABC):
    """Reads an answer that comes in pieces, each with an end that can be seen.

    Attributes:
        ends: What ends a piece.
    """

    ends: tuple[bytes, ...]

    def __init__(self, name: str, findings: Findings) -> None:
        super().__init__(name, findings)
        self._held: bytearray = bytearray()
        self._lost = False

    def take(self, chunk: bytes) -> None:
        """Look at the pieces that are there now, and keep the beginning of the next."""
        if self.complete or self.failed or self._lost:
            return
        if not self._held and chunk.endswith(self.ends):
            self._look(chunk)
            return
        held = self._held
        # What ends a piece may itself come in pieces, of which it has three at most.
        start = max(0, len(held) - 2)
        held += chunk
        found = (at + len(end) for end in self.ends if (at := held.rfind(end, start)) >= 0)
        cut = max(found, default=0)
        if cut:
            pieces = bytes(held[:cut])
            del held[:cut]
            self._look(pieces)
        elif len(held) > LARGEST:
            self._lost = True  # for us; whoever reads on may well understand it
            held.clear()

    def end(self) -> None:
        """Look at what has no end, and is a piece if it can be read."""
        if self._lost:
            self._judge(whole=False, failed=True)
        elif not (self.complete or self.failed):
            self._look(bytes(self._held))
        self._held.clear()

    @abstractmethod
    def _look(self, pieces: bytes) -> None:
        """Read what is worth it of pieces that are there."""


class Lines(_Sequence):
    """Reads JSON texts, one on each line: the last one says that it is."""

    ends: tuple[bytes, ...] = (b"\n",)

    def _look(self, pieces: bytes) -> None:
        for line in pieces.splitlines() if LINES.are_in(pieces) else ():
            if self.complete or self.failed:
                return
            said = self._read(line)
            self._judge(whole=isinstance(said, dict) and said.get("done") is True)


class Events(_Sequence):
    """Reads server-sent events up to the one that ends them, or that tells of a failure."""

    ends: tuple[bytes, ...] = (b"\n\n", b"\n\r\n", b"\r\r")

    def __init__(self, name: str, findings: Findings) -> None:
        super().__init__(name, findings)
        self._marks = marks_of(name)
        self._terminal = _TERMINAL.get(name, frozenset())

    def _look(self, pieces: bytes) -> None:
        if self._marks.are_in(pieces):
            for event in _events(pieces):
                if not (self.complete or self.failed):
                    self._event(*event)

    def _event(self, kind: str, text: bytes) -> None:
        said, kinds = self._read(text), {kind}
        if isinstance(said, dict):
            kinds.add(str(said.get("type")))
        elif text.strip() == DONE:
            kinds.add("[DONE]")
        elif kind != "error":
            return  # cut off
        self._judge(
            whole=not kinds.isdisjoint(self._terminal),
            failed=not kinds.isdisjoint(_FAILING),
        )


class ForeignEvents(Events):
    """Reads server-sent events of which nothing is known: they are whole when they end.

    One that tells of a failure need not be the last, and so all of them have failed at the end.
    """

    def end(self) -> None:
        """Take note that nothing more comes."""
        super().end()
        super()._judge(whole=True, failed=self._lost)

    def _judge(self, *, whole: bool, failed: bool = False) -> None:
        self._lost = self._lost or failed
        super()._judge(whole=whole)


class LastEvents(Events):
    """Reads server-sent events of which only the last tells why the answer ends."""

    def __init__(self, name: str, findings: Findings) -> None:
        super().__init__(name, findings)
        self._last = b""

    def end(self) -> None:
        """Look whether the last event tells why it is the last."""
        _Sequence.end(self)
        _, text = next(reversed(list(_events(self._last))), ("", b""))
        self._judge(whole=bool(result_of(self._read(text)).finish_reasons))

    def _look(self, pieces: bytes) -> None:
        super()._look(pieces)
        self._last = pieces if b"data:" in pieces else self._last


def _events(pieces: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the type and the data of each event that has any."""
    for piece in pieces.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n\n"):
        kind, texts = "", []
        for line in piece.split(b"\n"):
            name, _, value = line.partition(b":")
            if name == b"event":
                kind = value.strip().decode("utf-8", "replace")
            elif name == b"data":
                texts.append(value.removeprefix(b" "))
        if texts:
            yield kind, b"\n".join(texts)


class Page(Reader):
    """Reads what no model has written, such as the page of a proxy.

    It has failed, but not before its end: whoever asked may want to read it.
    """

    def end(self) -> None:
        """Take note that nothing more comes."""
        self._judge(whole=False, failed=True)


class Opening(Reader):
    """Finds out by its first byte how to read an answer, and has it read so.

    Args:
        name: The profile of the request, one that is known.
        streams: Tells whether the request asks for a stream.
        findings: What the answer says of itself is added here.
    """

    def __init__(self, name: str, streams: Callable[[], bool], findings: Findings) -> None:
        super().__init__(name, findings)
        self._streams = streams
        self._reader: Reader | None = None
        self._held = b""

    def take(self, chunk: bytes) -> None:
        """Look for the first byte that says anything; from there on another reads."""
        if self._reader is None:
            self._held += chunk
            chunk = self._held.removeprefix(_BOM).lstrip()
            if _BOM.startswith(chunk):
                self._held = chunk or (self._held and b" ")  # white space may go on for long
                return
            self._reader = self._kind(chunk[0])(self._name, self._findings)
        self._reader.take(chunk)
        self._follow(self._reader)

    def end(self) -> None:
        """Take note that nothing more comes; if nothing came, there was nothing to say."""
        if self._reader is not None:
            self._reader.end()
            self._follow(self._reader)
        else:
            self._judge(whole=not self._held and not self._streams())

    def _follow(self, reader: Reader) -> None:
        self._judge(whole=reader.complete, failed=reader.failed)

    def _kind(self, first: int) -> type[Reader]:
        if first in _OF_EVENTS and self._name == "gemini":
            return LastEvents
        if first in _OF_EVENTS and self._name in _TERMINAL:
            return Events
        if first not in _OF_JSON:
            return Page
        return Lines if self._name.startswith("ollama.") and self._streams() else Document


def reader(name: str, media_type: str, streams: Callable[[], bool], findings: Findings) -> Reader:
    """Return what reads an answer.

    Args:
        name: The profile of the request.
        media_type: Of the answer, in lower case and without parameters.
        streams: Tells whether the request asks for a stream.
        findings: What the answer says of itself is added here.
    """
    if name != "other":
        return Opening(name, streams, findings)
    if media_type == "text/event-stream":
        return ForeignEvents(name, findings)
    if media_type == "application/json" or media_type.endswith("+json"):
        return ForeignDocument(name, findings)
    return Reader(name, findings)


def _is_error(said: Any) -> bool:
    """Tell whether a member `error` says that there is one; all of its own may be null."""
    members = said.values() if isinstance(said, dict) else (said or None,)
    return any(member is not None for member in members)
