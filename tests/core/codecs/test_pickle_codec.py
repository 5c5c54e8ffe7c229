"""PickleCodec works, warns, and fails in the two ways that codecs fail."""

import warnings
from collections import deque

import pytest

from idemkit.core.codecs.codec_errors import DecodeError, EncodeError
from idemkit.core.codecs.pickle_codec import IdemkitSecurityWarning, PickleCodec


def test_pickle_is_announced() -> None:
    """Whoever chooses pickle without a word is told what it means."""
    with pytest.warns(IdemkitSecurityWarning, match="trust_store=True"):
        PickleCodec()


def test_trust_silences_the_warning() -> None:
    """Whoever has thought about it is left in peace."""
    with warnings.catch_warnings(record=True) as caught:
        PickleCodec(trust_store=True)
    assert [] == caught


def test_value_comes_back() -> None:
    """Pickle takes what the default codec refuses."""
    codec = PickleCodec(trust_store=True)
    assert deque([1]) == codec.decode(codec.encode(deque([1])))


def test_value_that_pickle_refuses() -> None:
    """A result that pickle cannot take is an EncodeError that names its type."""
    with pytest.raises(EncodeError) as caught:
        PickleCodec(trust_store=True).encode(lambda: None)
    assert "builtins.function" == caught.value.type_name


def test_damaged_bytes_are_refused() -> None:
    """Bytes that are no pickle are a DecodeError."""
    with pytest.raises(DecodeError):
        PickleCodec(trust_store=True).decode(b"\x80")


def test_name_differs_from_the_default() -> None:
    """Records of the two codecs are told apart by name."""
    assert "pickle" == PickleCodec.name
