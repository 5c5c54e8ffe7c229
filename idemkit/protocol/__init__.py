"""The rules of claims: what a record can be, and what each command makes of it.

Theory of operation
===================

A store keeps at most one `Record` per address.
Eight verbs change it, and each is a pure function here, ``(record, command, now) -> (answer,
record)``; a store's whole duty is to run that function atomically, on its own clock:

* ``claim``     somebody wants to run; exactly one caller is told `Acquired`
* ``beat``      the owner is alive, so its lease moves on
* ``step``      the owner writes down what it is about to do, or has done, on its way
* ``append``    the owner has more of a sequence; its chunks lie beside the record
* ``cancel``    somebody wants the owner to stop
* ``complete``  the owner has an outcome
* ``release``   the owner failed, or cannot say how far it got
* ``forget``    a person wants the key free again

What a verb does depends on the `Situation` the record is in and on whether the sender's token is
the one in the record; `TABLE` lists all of it, and `decide` reads it.
Three ideas carry the rest:

* *The lease is a field, not the record's expiry.* A record outlives its lease, so "never ran" and
  "ran, owner vanished" stay apart.
* *Every command may arrive twice.* A token is made once per call; a command whose effect is
  already there answers as if it had just happened.
* *A write is fenced by its token inside the write.* Who has been superseded is told so and
  changes nothing. A record that is gone while its owner's lease is still good can only have been
  lost by the store, so the owner puts it back; a tombstone is not "gone".

Times are whole milliseconds on the store's clock. No clock, no I/O and no randomness live here.
"""

from .rules import append, beat, cancel, claim, complete, forget, release, step
from .sequences import CANCELLED, PAGE_BYTES, PAGE_CHUNKS, Append, Page, Read, appended, glimpse
from .table import TABLE, Move, Situation, Verb, classify, decide
from .timing import beat_interval, doorbell_patience, retry_delay, validity
from .values import (
    Acquired,
    Beat,
    Claim,
    Completion,
    Decision,
    Done,
    Durability,
    Entry,
    Grant,
    InDoubt,
    Kind,
    Poisoned,
    Record,
    Recorded,
    Release,
    Reused,
    Running,
    Standing,
    State,
    Step,
    Terms,
)

__all__ = [
    "CANCELLED",
    "PAGE_BYTES",
    "PAGE_CHUNKS",
    "TABLE",
    "Acquired",
    "Append",
    "Beat",
    "Claim",
    "Completion",
    "Decision",
    "Done",
    "Durability",
    "Entry",
    "Grant",
    "InDoubt",
    "Kind",
    "Move",
    "Page",
    "Poisoned",
    "Read",
    "Record",
    "Recorded",
    "Release",
    "Reused",
    "Running",
    "Situation",
    "Standing",
    "State",
    "Step",
    "Terms",
    "Verb",
    "append",
    "appended",
    "beat",
    "beat_interval",
    "cancel",
    "claim",
    "classify",
    "complete",
    "decide",
    "doorbell_patience",
    "forget",
    "glimpse",
    "release",
    "retry_delay",
    "step",
    "validity",
]
