"""Commands as an owner would send them: those that the contract of a store is written in."""

from idemkit.testing.contract.commands import (
    BODY,
    FINGERPRINT,
    OTHER,
    TERMS,
    TOKEN,
    append,
    beat,
    claim,
    completion,
    grant,
    note,
    release,
    step,
)

__all__ = [
    "BODY",
    "FINGERPRINT",
    "OTHER",
    "TERMS",
    "TOKEN",
    "append",
    "beat",
    "claim",
    "completion",
    "grant",
    "note",
    "release",
    "step",
]
