"""From a call's arguments to its key and fingerprint: bound, canonical, hashed."""

from .canonical import canonical, digest
from .identifier import Identifier, Receiver, Selection, prefix

__all__ = ["Identifier", "Receiver", "Selection", "canonical", "digest", "prefix"]
