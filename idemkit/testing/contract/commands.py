"""Commands as an owner would send them."""

from dataclasses import replace
from typing import Any

from idemkit.protocol import (
    Acquired,
    Append,
    Beat,
    Claim,
    Completion,
    Decision,
    Entry,
    Grant,
    Kind,
    Release,
    Step,
    Terms,
)

TERMS = Terms(lease=30_000)
TOKEN = b"owner-owner-1234"
OTHER = b"other-other-1234"
FINGERPRINT = b"\x00\r\n\xff payload"
BODY = b'\x00\r\n$5\r\n{"a": 1}\xff'


def claim(token: bytes = TOKEN, fingerprint: bytes = FINGERPRINT, **terms: Any) -> Claim:
    """Return a claim, whose terms differ from the usual as told."""
    return Claim(token, fingerprint, replace(TERMS, **terms))


def grant(command: Claim, decision: Decision) -> Grant:
    """Return what an owner holds after its claim was granted."""
    assert isinstance(decision, Acquired), decision
    return Grant(
        command.token,
        command.fingerprint,
        decision.epoch,
        decision.attempt,
        decision.abandoned,
        command.terms,
    )


def beat(owned: Grant, *, heal: bool = True) -> Beat:
    """Return a beat."""
    return Beat(owned, heal)


def completion(owned: Grant, body: bytes = BODY, **more: Any) -> Completion:
    """Return a completion with a value."""
    usual = Completion(owned, Kind.VALUE, "plain", body, "00-ab-cd-01", 60_000, 0, heal=True)
    return usual._replace(**more)


def note(name: str = "embed#0", body: bytes | None = BODY, *, codec: str = "plain") -> Entry:
    """Return an entry of a step that was taken, or, without a body, one that is meant."""
    return Entry(name, FINGERPRINT, "" if body is None else codec, body)


def step(owned: Grant, *entries: Entry, heal: bool = True) -> Step:
    """Return what writes into a journal."""
    return Step(owned, entries, heal)


def append(owned: Grant, *chunks: bytes, first: int = 1, heal: bool = True) -> Append:
    """Return what appends chunks to a sequence."""
    return Append(owned, first, chunks, heal)


def release(owned: Grant, **more: Any) -> Release:
    """Return a release after a failure."""
    return Release(owned, "ValueError")._replace(**more)
