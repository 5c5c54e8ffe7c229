"""What goes over the wire: scripts and their arguments as bytes, replies as protocol values."""

from __future__ import annotations

import copy
import hashlib
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

from ...protocol import (
    Acquired,
    Done,
    Entry,
    InDoubt,
    Kind,
    Page,
    Poisoned,
    Record,
    Recorded,
    Reused,
    Running,
    Situation,
    Standing,
    State,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...protocol import (
        Append,
        Beat,
        Claim,
        Completion,
        Decision,
        Grant,
        Read,
        Release,
        Step,
        Terms,
    )

__all__ = [
    "APPEND",
    "BEAT",
    "CANCEL",
    "CLAIM",
    "COMPLETE",
    "FORGET",
    "LOOK_UP",
    "PEEK",
    "READ",
    "RELEASE",
    "STEP",
    "Script",
    "append_arguments",
    "beat_arguments",
    "claim_arguments",
    "completion_arguments",
    "look_up_arguments",
    "packed",
    "packed_words",
    "page_arguments",
    "read_decision",
    "read_found",
    "read_page",
    "read_record",
    "read_standing",
    "release_arguments",
    "step_arguments",
]


def packed(*words: bytes) -> bytes:
    """Return one command as the server reads it."""
    return b"*%d\r\n%b" % (len(words), packed_words(*words))


def packed_words(*words: bytes) -> bytes:
    """Return a part of a command as the server reads it."""
    return b"".join([b"$%d\r\n%b\r\n" % (len(word), word) for word in words])


class Script:
    """One verb's Lua source, ready to be sent by its digest or as a whole.

    Args:
        name: Of a file in the folder beside this module, without its suffix.
        keys: How many keys it takes.
        arguments: How many arguments it takes.
        after: The names of the files that it continues, in order.
    """

    __slots__ = ("_by_digest", "_shape", "digest", "name", "source")

    def __init__(
        self, name: str, *, keys: int, arguments: int, after: Sequence[str] = ("clock", "head")
    ) -> None:
        self.name: str = name
        self.source: bytes = _source(*after, name)
        self.digest: bytes = hashlib.sha1(self.source, usedforsecurity=False).hexdigest().encode()
        self._count(keys, arguments)

    def _count(self, keys: int, arguments: int) -> None:
        self._shape = keys, arguments
        self._by_digest = _command_head(b"EVALSHA", self.digest, keys, arguments)

    def taking(self, more: int, *, keys: int = 0) -> Script:
        """Return the same script, for a run with so many more arguments, and more keys."""
        longer = copy.copy(self)
        usual, arguments = self._shape
        longer._count(usual + keys, arguments + more)  # noqa: SLF001 - its own copy
        return longer

    def by_digest(self, arguments: bytes) -> bytes:
        """Return the command that runs the script if the server knows it."""
        return self._by_digest + arguments

    def by_source(self, arguments: bytes) -> bytes:
        """Return the command that runs the script and makes the server know it."""
        return _command_head(b"EVAL", self.source, *self._shape) + arguments


def _source(*names: str) -> bytes:
    folder = files(__name__.rpartition(".")[0]) / "scripts"
    *before, body = ((folder / f"{name}.lua").read_bytes() for name in names)
    shebang, line, rest = body.partition(b"\n") if body.startswith(b"#!") else (b"", b"", body)
    return b"".join([shebang, line, *before, rest])


def _command_head(command: bytes, script: bytes, keys: int, arguments: int) -> bytes:
    words = (command, script, b"%d" % keys)
    return b"*%d\r\n%b" % (len(words) + keys + arguments, packed_words(*words))


CLAIM: Final = Script("claim", keys=3, arguments=7)
LOOK_UP: Final = Script("look_up", keys=0, arguments=2, after=("clock",))
_RENEWING: Final = ("clock", "head", "renew")
BEAT: Final = Script("beat", keys=3, arguments=9, after=_RENEWING)
STEP: Final = Script("step", keys=3, arguments=9, after=_RENEWING)
APPEND: Final = Script("append", keys=4, arguments=10, after=_RENEWING)
CANCEL: Final = Script("cancel", keys=4, arguments=1)
COMPLETE: Final = Script("complete", keys=4, arguments=14)
RELEASE: Final = Script("release", keys=4, arguments=6)
FORGET: Final = Script("forget", keys=4, arguments=2)
PEEK: Final = Script("peek", keys=3, arguments=1)
READ: Final = Script("read", keys=3, arguments=5)

_FLAGS: Final = (b"0", b"1")
_SIX_WORDS: Final = b"$%d\r\n%b\r\n" * 6 + b"%b"


def claim_arguments(keys: tuple[bytes, bytes, bytes], now: bytes, command: Claim) -> bytes:
    """Return the keys and arguments of `CLAIM`, packed."""
    record, journal, stream = keys
    token, fingerprint = command.token, command.fingerprint
    # Every call passes here: one formatting is half the price of one per word.
    return _SIX_WORDS % (
        len(record),
        record,
        len(journal),
        journal,
        len(stream),
        stream,
        len(now),
        now,
        len(token),
        token,
        len(fingerprint),
        fingerprint,
        _packed_terms(command.terms),
    )


@lru_cache(maxsize=256)
def _packed_terms(terms: Terms) -> bytes:
    return packed_words(
        b"%d" % terms.lease,
        b"%d" % terms.retention,
        _FLAGS[terms.take_over],
        b"%d" % terms.max_attempts,
    )


def look_up_arguments(
    records: Sequence[bytes], now: bytes, room: int, fingerprints: Sequence[bytes]
) -> bytes:
    """Return the keys and arguments of `LOOK_UP`, packed: one more of each for each record."""
    return packed_words(*records, now, b"%d" % room, *fingerprints)


def beat_arguments(keys: Sequence[bytes], now: bytes, beat: Beat | Step | Append) -> bytes:
    """Return the keys and arguments of `BEAT`, packed."""
    return packed_words(*keys, now, *_grant_words(beat.grant), _FLAGS[beat.heal])


def step_arguments(keys: Sequence[bytes], now: bytes, step: Step) -> bytes:
    """Return the keys and arguments of `STEP`, packed: two more for each entry."""
    entries = [packed_words(entry.name.encode(), _entry_text(entry)) for entry in step.entries]
    return b"".join([beat_arguments(keys, now, step), *entries])


def _entry_text(entry: Entry) -> bytes:
    head = _encode((entry.fingerprint, entry.codec, entry.body is not None))
    return b"%b\n%b" % (head, entry.body or b"")


def append_arguments(keys: Sequence[bytes], now: bytes, command: Append) -> bytes:
    """Return the keys and arguments of `APPEND`, packed: one more for each chunk."""
    words = packed_words(b"%d" % command.first, *command.chunks)
    return beat_arguments(keys, now, command) + words


def page_arguments(keys: Sequence[bytes], now: bytes, command: Read) -> bytes:
    """Return the keys and arguments of `READ`, packed."""
    return packed_words(*keys, now, *[b"%d" % number for number in command])


def completion_arguments(keys: Sequence[bytes], now: bytes, command: Completion) -> bytes:
    """Return the keys and arguments of `COMPLETE`, packed."""
    return packed_words(
        *keys,
        now,
        *_grant_words(command.grant),
        _FLAGS[command.heal],
        _encode((command.kind, command.codec, command.origin)),
        command.body,
        b"%d" % command.ttl,
        b"%d" % command.stale,
        b"%d" % command.length,
    )


def _grant_words(grant: Grant) -> tuple[bytes, ...]:
    return (
        grant.token,
        grant.fingerprint,
        b"%d" % grant.epoch,
        b"%d" % grant.attempt,
        b"%d" % grant.abandoned,
        b"%d" % grant.terms.lease,
        b"%d" % grant.terms.retention,
    )


def release_arguments(keys: Sequence[bytes], now: bytes, command: Release) -> bytes:
    """Return the keys and arguments of `RELEASE`, packed."""
    return packed_words(
        *keys,
        now,
        command.grant.token,
        _FLAGS[command.in_doubt],
        command.error.encode(),
        b"%d" % command.retention,
        b"%d" % command.grant.terms.retention,
    )


# JSON, for it never holds a raw newline, which is what separates the fields of a reply.
_encode = msgspec.json.Encoder().encode
_decode_head = msgspec.json.Decoder(tuple[Kind, str, str]).decode
_decode_entry_head = msgspec.json.Decoder(tuple[bytes, str, bool]).decode

_STATES: Final = {
    b"R": State.RUNNING,
    b"F": State.FAILED,
    b"D": State.DONE,
    b"X": State.FORGOTTEN,
}
_SITUATIONS: Final = {situation.value.encode(): situation for situation in Situation}
_STANDINGS: Final = {standing.value.encode(): standing for standing in Standing}


def read_standing(reply: bytes) -> Standing:
    """Return what `BEAT`, `STEP`, `APPEND`, `COMPLETE` or `RELEASE` answered."""
    return _STANDINGS[reply]


def read_decision(reply: Any) -> Decision:
    """Return what `CLAIM` answered: a letter, then fields, one a line and the body last.

    Who goes on in a journal is answered with a list: this, and the journal.
    """
    match reply[:1]:
        case b"D":
            _, left, outcome = reply.split(b"\n", 2)
            return Done(_read_outcome(outcome), int(left))
        case b"A":
            _, epoch, attempt, abandoned, *rest = reply.split(b"\n", 4)
            stale = _read_outcome(rest[0]) if rest else None
            return Acquired(int(epoch), int(attempt), int(abandoned), stale)
        case [granted]:
            acquired = cast("Acquired", read_decision(granted))
            return acquired._replace(journal=_read_journal(reply[1]))
        case b"W":
            _, epoch, left = reply.split(b"\n")
            return Running(int(epoch), int(left))
        case b"I":
            _, attempt, since = reply.split(b"\n")
            return InDoubt(int(attempt), int(since))
        case b"P":
            return Poisoned(int(reply[2:]))
        case _:
            return Reused(_STATES[reply[2:]])


def read_found(reply: list[Any]) -> list[Done | None]:
    """Return what `LOOK_UP` answered: to each record what `CLAIM` would, if that is its outcome."""
    return [_read_if_sound(answer) for answer in reply]


def _read_if_sound(answer: Any) -> Done | None:
    try:
        return answer and cast("Done", read_decision(answer))
    except Exception:  # noqa: BLE001 - it is damaged, as its own claim will tell
        return None


def _read_outcome(text: bytes) -> Recorded:
    attempt, completed_at, expires_at, gone_at, head, body = text.split(b"\n", 5)
    kind, codec, origin = _decode_head(head)
    return Recorded(
        kind, codec, body, origin, int(attempt), int(completed_at), int(expires_at), int(gone_at)
    )


def _read_journal(flat: list[bytes]) -> tuple[Entry, ...]:
    fields = _fields(flat)
    places = sorted(filter(bytes.isdigit, fields), key=int)
    names = [fields[place] for place in places]
    return tuple([_read_entry(name, fields[b"e" + name]) for name in names])


def _read_entry(name: bytes, text: bytes) -> Entry:
    head, _, body = text.partition(b"\n")
    fingerprint, codec, done = _decode_entry_head(head)
    return Entry(name.decode(), fingerprint, codec, body if done else None)


def _fields(flat: list[bytes]) -> dict[bytes, bytes]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def read_record(reply: Any) -> tuple[Record, int] | None:
    """Return what `PEEK` answered: the record, and the time on the server's clock."""
    if reply is None:
        return None
    now, flat, journal = reply
    fields = _fields(flat)
    record = Record(
        state=_STATES[fields[b"st"]],
        token=fields[b"tk"],
        fingerprint=fields[b"fp"],
        epoch=int(fields[b"ep"]),
        attempt=int(fields[b"at"]),
        abandoned=int(fields[b"ab"]),
        lease_until=int(fields[b"lx"]),
        expires_at=int(fields[b"xp"]),
        recorded=_recorded(fields) if b"ov" in fields else None,
        error=fields.get(b"er", b"").decode(),
        journal=_read_journal(journal),
        length=int(fields.get(b"sq", 0)),
        cancelled=b"cx" in fields,
    )
    return record, int(now)


def _recorded(fields: dict[bytes, bytes]) -> Recorded:
    names = (b"oa", b"oc", b"of", b"og", b"oh", b"ov")
    return _read_outcome(b"\n".join([fields[name] for name in names]))


def read_page(reply: Any) -> Page:
    """Return what `READ` answered: the call in lines, its outcome or nothing, and the chunks."""
    if reply is None:
        return Page(Situation.ABSENT, 0, 0, 0)
    seen, outcome, chunks = reply
    situation, epoch, length, left, error = seen.split(b"\n", 4)
    return Page(
        _SITUATIONS[situation],
        int(epoch),
        int(length),
        int(left),
        error.decode(),
        _read_outcome(outcome) if outcome else None,
        tuple(chunks),
    )
