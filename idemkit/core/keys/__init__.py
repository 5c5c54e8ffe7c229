"""From a call's arguments to its key and fingerprint: bound, canonical, hashed."""

from .canonical import canonical, digest
from .identifier import Identifier, Receiver, Selection, prefix
from .strict_json import distinct, strict_decoder

__all__ = [
    "Identifier",
    "Receiver",
    "Selection",
    "canonical",
    "digest",
    "distinct",
    "prefix",
    "strict_decoder",
]
