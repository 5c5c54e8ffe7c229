"""From a call's arguments to its key and fingerprint: bound, canonical, hashed."""

from .identifier import Identifier, Receiver, Selection, key_text, prefix

__all__ = ["Identifier", "Receiver", "Selection", "key_text", "prefix"]
