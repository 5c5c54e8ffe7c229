"""Scripted failures: what happens to the next requests instead of a plain answer."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from itertools import chain, islice
from threading import Lock
from typing import NamedTuple

from .dialects import Dialect
from .errors import ApiError
from .fields import Fields
from .replies import LAST, Content, HangUp, Reply, Stream

__all__ = [
    "Break",
    "Drop",
    "Fault",
    "Pass",
    "Refuse",
    "Scene",
    "Script",
    "Slow",
    "Truncate",
    "parse_faults",
]

_CODES = {429: "rate_limit_exceeded", 503: "overloaded", 529: "overloaded"}


class Scene(NamedTuple):
    """Where a failure happens.

    Args:
        answer: runs the request and returns the reply that it would have got.
        sleep: waits for so many seconds, or until the server stops.
    """

    answer: Callable[[], Reply]
    dialect: Dialect
    sleep: Callable[[float], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault(ABC):
    """What goes wrong with one request.

    Args:
        path: the endpoints it is meant for, as a shell pattern.
        method: the HTTP method it is meant for; None is any.
    """

    path: str = "*"
    method: str | None = None

    def meant_for(self, method: str, path: str) -> bool:
        """Tell whether a request is one to fail."""
        return self.method in {None, method} and fnmatchcase(path, self.path)

    @abstractmethod
    def play(self, scene: Scene) -> Reply | HangUp:
        """Return the reply that the request gets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass(Fault):
    """Nothing goes wrong: a place in the script for a request that succeeds."""

    def play(self, scene: Scene) -> Reply | HangUp:
        """Answer."""
        return scene.answer()


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse(Fault):
    """The request is refused with a status, and nothing is computed.

    Args:
        retry_after: the seconds that `Retry-After` says.
    """

    status: int = 429
    retry_after: float | None = None
    message: str = "This failure was asked for."
    headers: Mapping[str, str] = field(default_factory=dict)

    def play(self, scene: Scene) -> Reply | HangUp:
        """Refuse."""
        wait = {} if self.retry_after is None else {"Retry-After": f"{self.retry_after:.12g}"}
        return scene.dialect.refusal(
            ApiError(
                self.message,
                status=self.status,
                code=_CODES.get(self.status, "scripted_failure"),
                headers={**wait, **self.headers},
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop(Fault):
    """The connection ends before a byte of the reply.

    Args:
        executed: whether the request has its effect all the same, so that only its answer is lost.
    """

    executed: bool = False

    def play(self, scene: Scene) -> Reply | HangUp:
        """Hang up."""
        if self.executed:
            reply = scene.answer()
            _ = list(reply.frames) if isinstance(reply, Stream) else reply
        return HangUp()


@dataclass(frozen=True, slots=True, kw_only=True)
class Truncate(Fault):
    """The reply ends early: a stream after some events, a document half-way.

    Args:
        after: how many events of a stream are sent.
        abort: whether the connection breaks there; if not, what was sent looks like a whole body.
    """

    after: int = 0
    abort: bool = False

    def play(self, scene: Scene) -> Reply | HangUp:
        """Cut the reply."""
        reply = scene.answer()
        match reply:
            case Stream():
                frames = _events(reply.frames, self.after)
                return replace(reply, frames=frames, clean=not self.abort, whole=False)
            case Content():
                half = reply.body[: len(reply.body) // 2]
                announced = len(reply.body if self.abort else half)
                return replace(reply, body=half, announced=announced)


@dataclass(frozen=True, slots=True, kw_only=True)
class Break(Fault):
    """The reply fails half-way: a stream ends with an error event, a document is a 500.

    Args:
        after: how many events of a stream are sent before the error.
    """

    after: int = 0
    message: str = "This failure was asked for."

    def play(self, scene: Scene) -> Reply | HangUp:
        """Fail half-way."""
        reply = scene.answer()
        error = ApiError(self.message, status=500, code="server_error")
        if not isinstance(reply, Stream):
            return scene.dialect.refusal(error)
        frames = chain(_events(reply.frames, self.after), [scene.dialect.frame(error)])
        return replace(reply, frames=frames, whole=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slow(Fault):
    """The reply takes its time.

    Args:
        first: seconds before its first byte.
        whole: seconds after that until it is complete; the events of a stream come evenly.
    """

    first: float = 0.0
    whole: float = 0.0

    def play(self, scene: Scene) -> Reply | HangUp:
        """Wait."""
        scene.sleep(self.first)
        reply = scene.answer()
        if isinstance(reply, Stream) and self.whole:
            return replace(reply, frames=self._spread(reply.frames, scene.sleep))
        scene.sleep(self.whole)
        return reply

    def _spread(self, frames: Iterator[bytes], sleep: Callable[[float], object]) -> Iterator[bytes]:
        ready = list(frames)
        for frame in ready:
            sleep(self.whole / len(ready))
            yield frame


def _events(frames: Iterator[bytes], most: int) -> Iterator[bytes]:
    # The mark of the last frame is none itself.
    return islice((frame for frame in frames if frame != LAST), most)


class Script:
    """The failures to come, each for the first request it is meant for."""

    def __init__(self) -> None:
        """Start with none."""
        self._lock = Lock()
        self._faults: list[Fault] = []

    def add(self, *faults: Fault) -> int:
        """Append failures and return how many are to come."""
        with self._lock:
            self._faults += faults
            return len(self._faults)

    def take(self, method: str, path: str) -> Fault | None:
        """Return the failure that a request meets, which no other request will."""
        with self._lock:
            for at, fault in enumerate(self._faults):
                if fault.meant_for(method, path):
                    return self._faults.pop(at)
        return None


def parse_faults(body: object) -> list[Fault]:
    """Check the body of `POST /script`: `{"faults": [{"fault": "refuse", "status": 503}]}`.

    Each fault may say `path`, `method`, and `times`: for how many requests it is there.

    Raises:
        ApiError: a member is unknown, missing, of the wrong type or out of its range.
    """
    fields = Fields(body)
    fields.allow(frozenset({"faults"}))
    parsed: list[Fault] = []
    for members in fields.objects("faults"):
        parsed += [_parse_fault(members)] * members.integer("times", 1, low=1, high=10_000)
    return parsed


def _parse_fault(fields: Fields) -> Fault:
    readers: dict[str, tuple[frozenset[str], Callable[[Fields], Fault]]] = {
        "pass": (frozenset(), lambda _: Pass()),
        "refuse": (frozenset({"status", "retry_after", "message", "headers"}), _refuse),
        "drop": (frozenset({"executed"}), lambda at: Drop(executed=at.boolean("executed"))),
        "truncate": (frozenset({"after", "abort"}), _truncate),
        "break": (frozenset({"after", "message"}), _break),
        "slow": (frozenset({"first", "whole"}), _slow),
    }
    members, read = readers[fields.one_of("fault", readers)]
    fields.allow(members | {"fault", "path", "method", "times"})
    method = fields.text("method", "")
    return replace(read(fields), path=fields.text("path", "*"), method=method or None)


def _refuse(fields: Fields) -> Fault:
    retry_after = fields.number("retry_after", -1, low=0, high=1e9)
    headers = fields.members("headers")
    return Refuse(
        status=fields.integer("status", 429, low=400, high=599),
        retry_after=None if retry_after < 0 else retry_after,
        message=fields.text("message", Refuse().message),
        headers={name: headers.text(name) for name in headers},
    )


def _truncate(fields: Fields) -> Fault:
    return Truncate(after=_after(fields), abort=fields.boolean("abort"))


def _break(fields: Fields) -> Fault:
    return Break(after=_after(fields), message=fields.text("message", Break().message))


def _slow(fields: Fields) -> Fault:
    first = fields.number("first", 0, low=0, high=3600)
    return Slow(first=first, whole=fields.number("whole", 0, low=0, high=3600))


def _after(fields: Fields) -> int:
    return fields.integer("after", 0, low=0, high=1_000_000)
