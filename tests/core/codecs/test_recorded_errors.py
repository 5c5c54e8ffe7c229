"""Recorded exceptions come back as they were, or as a RecordedError with their name and text."""

import decimal
from typing import Any

import pytest

from idemkit.core.codecs import TypedCodec
from idemkit.core.codecs.codec_errors import DecodeError
from idemkit.core.codecs.recorded_errors import decode_error, encode_error
from idemkit.errors import RecordedError


class DeclinedError(Exception):
    """Takes one text."""

    __module__ = "app"


class CardDeclinedError(DeclinedError):
    """A class below the named one."""


class StatusError(DeclinedError):
    """Has required arguments, as those of API clients have."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class CopyableError(DeclinedError):
    """Has required arguments, and says how to copy it."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status

    def __reduce__(self) -> tuple[Any, ...]:
        """Name the arguments."""
        return type(self), (self.args[0], self.status)


class CountingError(DeclinedError):
    """Says something else each time it is made."""

    made = 0

    def __init__(self, message: str) -> None:
        super().__init__(message)
        CountingError.made += 1
        self.number = CountingError.made
        self.label = f"{message} {self.number}"

    def __setattr__(self, name: str, value: object) -> None:
        """Let each name be set once."""
        if name not in vars(self):
            super().__setattr__(name, value)


class ForeignError(DeclinedError):
    """Is copied by a function, which a record does not call."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Name a function."""
        return str, ("a",)


class BrokenError(DeclinedError):
    """Cannot say what it is."""

    def __str__(self) -> str:
        """Fail."""
        raise ZeroDivisionError


class GroupedError(DeclinedError):
    """Says something of its own."""

    def __str__(self) -> str:
        """Combine the arguments."""
        return " and ".join(self.args)


def noted() -> DeclinedError:
    """Return an exception with notes and attributes."""
    error = DeclinedError("no", (1, decimal.Decimal(2)))
    error.add_note("a note")
    error.reason = {"a"}  # type: ignore[attr-defined]
    return error


def facts(error: BaseException) -> tuple[Any, ...]:
    """Return all that is recorded of an exception."""
    return type(error), error.args, vars(error), str(error)


EXACT: list[BaseException] = [
    ValueError("a"),
    KeyError((1, "b")),
    DeclinedError(),
    CardDeclinedError("a", b"b", 2**70),
    CopyableError("a", 402),
    GroupedError("a", "b"),
    FileNotFoundError(2, "gone", "name"),
    ImportError("a", name="b", path="c"),
    noted(),
    ValueError("\udc80"),
]
TYPES = (DeclinedError, ValueError, LookupError, OSError, ImportError)


@pytest.mark.parametrize("error", EXACT, ids=lambda error: type(error).__name__ + str(error.args))
def test_exception_comes_back_as_itself(error: BaseException) -> None:
    """Type, arguments, attributes, notes and text are the same."""
    assert facts(error) == facts(decode_error(encode_error(error), TYPES))


INEXACT: list[tuple[BaseException, str]] = [
    (StatusError("a", status=402), "a"),
    (CountingError("a"), "a"),
    (ForeignError("a"), "a"),
    (DeclinedError(object), "<class 'object'>"),
    (ZeroDivisionError("a"), "a"),
    (ExceptionGroup("a", [ValueError("b")]), "a (1 sub-exception)"),
]


@pytest.mark.parametrize(("error", "text"), INEXACT, ids=lambda value: type(value).__name__)
def test_other_exception_comes_back_as_name_and_text(error: BaseException, text: str) -> None:
    """What cannot be rebuilt exactly, or is not of a named type, keeps name and text."""
    recorded = decode_error(encode_error(error), TYPES)
    name = f"{type(error).__module__}.{type(error).__qualname__}"
    assert (RecordedError, name, text) == (type(recorded), recorded.type_name, recorded.text)  # type: ignore[attr-defined]


def test_recorded_error_reads_like_the_original() -> None:
    """The message of a RecordedError shows name and text."""
    recorded = decode_error(encode_error(ZeroDivisionError("by 0")), ())
    assert "builtins.ZeroDivisionError: by 0" == str(recorded)


def test_each_replay_is_a_fresh_exception() -> None:
    """Raising one replay leaves no traceback on the next one."""
    body = encode_error(ValueError("a"))
    assert decode_error(body, TYPES) is not decode_error(body, TYPES)


@pytest.mark.parametrize(
    "body", [b"", b"\x20", b"\x10\xc0", TypedCodec().encode(1), TypedCodec().encode(["a"])]
)
def test_damaged_record_is_refused(body: bytes) -> None:
    """Bytes that hold no exception raise DecodeError."""
    with pytest.raises(DecodeError):
        decode_error(body, TYPES)


def test_exception_without_a_text_is_recorded() -> None:
    """A `__str__` that fails does not hide the outcome."""
    recorded = decode_error(encode_error(BrokenError("a")), ())
    assert "(no text: its __str__ failed)" == recorded.text  # type: ignore[attr-defined]


PINNED = {
    "tagged": (
        KeyError("a"),
        b"\x11\x92\x90\x95\xa4list\xb1builtins.KeyError\xa3'a'\x92\xa5tuple\xa1a\x92\xa5plain\x80",
    ),
    "noted": (
        noted(),
        (
            b"\x11\x92\x90\x95\xa4list\xb1app.DeclinedError\xb9('no', (1, Decimal('2')))"
            b"\x93\xa5tuple\xa2no\x93\xa5tuple\x01\x92\xa7Decimal\xa12"
            b"\x95\xa4dict\xa9__notes__\x92\xa5plain\x91\xa6a note\xa6reason\x92\xa3set\xa1a"
        ),
    ),
}


@pytest.mark.parametrize(("error", "body"), PINNED.values(), ids=PINNED)
def test_pinned_exception_stays_readable(error: BaseException, body: bytes) -> None:
    """Exceptions recorded in format version 1 are raised as what they were, for ever."""
    assert facts(error) == facts(decode_error(body, TYPES))


@pytest.mark.parametrize(("error", "body"), PINNED.values(), ids=PINNED)
def test_pinned_exception_has_the_pinned_bytes(error: BaseException, body: bytes) -> None:
    """A change of the bytes needs a new format version."""
    assert body == encode_error(error)
