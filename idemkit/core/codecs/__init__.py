"""From results to bytes and back: exact, typed, versioned, and never by pickle on the quiet."""

from .codec_errors import DecodeError, EncodeError
from .pickle_codec import IdemkitSecurityWarning, PickleCodec
from .recorded_errors import decode_error, encode_error, text_of
from .typed import Codec, TypedCodec, codec_for

__all__ = [
    "Codec",
    "DecodeError",
    "EncodeError",
    "IdemkitSecurityWarning",
    "PickleCodec",
    "TypedCodec",
    "codec_for",
    "decode_error",
    "encode_error",
    "text_of",
]
