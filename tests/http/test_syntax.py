"""Tests of `idemkit.http.syntax`: what is a key, and which keys are the same."""

import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idemkit.http.syntax import LONGEST, MalformedKeyError, parse_key

UUID = "8e03978e-40d5-43dd-bc93-6894a57f9324"
PRINTABLE = "".join(map(chr, range(0x20, 0x7F)))
KEYS = st.text(PRINTABLE, min_size=1, max_size=LONGEST).filter(str.strip)
BARE_KEYS = st.text(sorted({*PRINTABLE} - {*' ",;'}), min_size=1, max_size=LONGEST)


def quote(key: str) -> str:
    """Write a key as a String of RFC 9651."""
    return '"{}"'.format(key.replace("\\", "\\\\").replace('"', '\\"'))


@given(KEYS)
def test_quoted_key_is_read_back(key: str) -> None:
    """Every string of visible characters and spaces can be a key."""
    assert key == parse_key([quote(key)])


@given(BARE_KEYS)
def test_quotes_make_no_difference(key: str) -> None:
    """A key is the same one with its quotes and without."""
    assert key == parse_key([key])


@given(st.text(max_size=300))
def test_any_text_is_a_key_or_malformed(text: str) -> None:
    """Whatever comes, either a key of a decent length is found or the field is malformed."""
    with suppress(MalformedKeyError):
        assert 1 <= len(parse_key([text])) <= LONGEST


@pytest.mark.parametrize(
    "value",
    [
        UUID,
        f'"{UUID}"',
        f'  "{UUID}"\t',
        f"{UUID};a",
        f'"{UUID}";a=1;b-c.d*_="x,\\";y";c=?1; *d=:aGVsbG8=:;e=%"f%c3%bc";f=@1659578233',
    ],
)
def test_same_key(value: str) -> None:
    """White space around a key and parameters after it are none of it."""
    assert UUID == parse_key([value])


@pytest.mark.parametrize(
    "value",
    [
        "a b",
        "a,b",
        '"a", "b"',
        '"a" "b"',
        '"a"b',
        'a"b"',
        '"a',
        'a"',
        '"',
        '"a\\',
        '"a\\"',
        '"a\\b"',
        '"a\tb"',
        '"a\nb"',
        "a\x00",
        "a\n",
        "é",
        '"é"',
        "\x7f",
        ";a=1",
        "a;",
        "a ;b",
        "a;B",
        "a;b=",
        'a;b="c',
        "a;b=c d",
    ],
)
def test_malformed(value: str) -> None:
    """What is neither a String nor visible characters without separators is no key."""
    with pytest.raises(MalformedKeyError, match="no string of RFC 9651"):
        parse_key([value])


@pytest.mark.parametrize("value", ["", " ", "\t", '""', '"  "', '"";a=1'])
def test_empty(value: str) -> None:
    """A key has to say something."""
    with pytest.raises(MalformedKeyError, match="empty"):
        parse_key([value])


def test_repeated_field() -> None:
    """Two keys are none, even if they are the same."""
    with pytest.raises(MalformedKeyError, match="repeated"):
        parse_key(["a", "a"])


def test_too_long() -> None:
    """A key has 255 characters at most."""
    with pytest.raises(MalformedKeyError, match="256 characters; 255"):
        parse_key(["a" * 256])


def test_length_is_that_of_the_decoded_key() -> None:
    """Quotes, escapes and parameters count for nothing in the length of a key."""
    assert '"' * LONGEST == parse_key([quote('"' * LONGEST) + ";a=" + "b" * 1000])


def test_pattern_is_matched_as_a_whole() -> None:
    """A key of which only the beginning is of the wanted form is malformed."""
    with pytest.raises(MalformedKeyError, match="form that this operation asks for"):
        parse_key(["12a"], re.compile("[0-9]+"))


def test_pattern_is_of_the_decoded_key() -> None:
    """A pattern sees the key without its quotes."""
    assert "12" == parse_key(['"12"'], re.compile("[0-9]+"))


@pytest.mark.parametrize("value", ["secret,", '"secret', " secret secret", "secret" * 50])
def test_complaint_does_not_repeat_the_key(value: str) -> None:
    """What is said of a malformed key may be logged."""
    with pytest.raises(MalformedKeyError) as caught:
        parse_key([value])
    assert "secret" not in str(caught.value)


def test_long_nonsense_is_refused_at_once() -> None:
    """Escapes and parameters without end are read in one go, or this would not come back."""
    with pytest.raises(MalformedKeyError):
        parse_key(['"' + '\\"' * 50_000 + ";a=1" * 50_000])
