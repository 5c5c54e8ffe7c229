"""How results become bytes: the default codec, pickle for those who insist, and your own."""

from .core.codecs import (
    Codec,
    DecodeError,
    EncodeError,
    IdemkitSecurityWarning,
    PickleCodec,
    TypedCodec,
)

__all__ = [
    "Codec",
    "DecodeError",
    "EncodeError",
    "IdemkitSecurityWarning",
    "PickleCodec",
    "TypedCodec",
]
