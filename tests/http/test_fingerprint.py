"""Tests of `idemkit.http.fingerprint`: what is the same request, and what is another."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idemkit.http.fingerprint import MOST_FIELDS, fingerprint

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
MEDIA_TYPES = [JSON, "application/problem+json", FORM, "text/plain", ""]
FORM_DATA = "multipart/form-data; boundary="

CONTENT_TYPES = st.one_of(
    st.text(),
    st.sampled_from([*MEDIA_TYPES, "multipart/form-data", FORM_DATA + "a", FORM_DATA + '"a b"']),
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    # What Python writes of a surrogate pair reads as one character.
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=10,
)


def of(body: bytes | str, content_type: str = JSON) -> bytes:
    """Return the fingerprint of a request with this body."""
    octets = body.encode() if isinstance(body, str) else body
    return fingerprint("POST", "/chat", "", content_type, octets)


def form_data(boundary: str, *parts: str, end: str = "\r\n") -> bytes:
    """Return the parts as a multipart body."""
    inside = "".join(f"--{boundary}\r\n{part}\r\n" for part in parts)
    return f"{inside}--{boundary}--{end}".encode()


@given(st.text(), st.text(), st.text(), CONTENT_TYPES, st.binary())
def test_nothing_makes_it_fail(
    method: str, path: str, query: str, content_type: str, body: bytes
) -> None:
    """Any bytes have a fingerprint, whatever they claim to be."""
    assert 16 == len(fingerprint(method, path, query, content_type, body))


@given(VALUES, VALUES)
def test_other_values_have_other_fingerprints(one: Any, other: Any) -> None:
    """Two JSON bodies have one fingerprint only if they are one value."""
    texts = [json.dumps(value, sort_keys=True) for value in (one, other)]
    assert (texts[0] == texts[1]) == (of(texts[0]) == of(texts[1]))


@given(VALUES)
def test_layout_does_not_matter(value: Any) -> None:
    """Order of names, white space and escapes are no part of a JSON body."""
    airy = json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False)
    assert of(json.dumps(value)) == of(f"\r\n{airy}\t")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1", "1.0"),
        ("1.0", "1.00"),
        ("1.0", "1e0"),
        ("0", "-0"),
        ("0.0", "-0.0"),
        ("1", '"1"'),
        ("1", "true"),
        ("0.1", "0.1000000000000000055511151231257827"),
        ("9007199254740992.0", "9007199254740993.0"),
        ("12345678901234567890123", "12345678901234567890124"),
        ("1e400", "1e401"),
        ("1" * 5000, "1" * 4999 + "2"),
        ("[]", "{}"),
        ("null", "[null]"),
        ('{"a": 1}', '{"a": 1, "a": 1}'),
        ('{"a": 1, "a": 2}', '{"a": 2}'),
        ('{"a": 1, "a": 2}', '{"a": 2, "a": 1}'),
        ('{"a": {"b": 1, "b": 2}}', '{"a": {"b": 2}}'),
        ('"\\ud800"', '"\\ud801"'),
        ("NaN", '"NaN"'),
        ("Infinity", "-Infinity"),
        ("[1,", "[1"),
        ("", "null"),
        ("[" * 200 + "]" * 200, "[" * 201 + "]" * 201),
        ("[" * 100_000 + "]" * 100_000, "[" * 100_001 + "]" * 100_001),
        ("é".encode(), "é".encode("latin-1")),
        ('"a"'.encode("utf-8-sig"), b'"a"'),
    ],
    ids=lambda text: f"{text[:24]!r}({len(text)})",
)
def test_json_that_is_not_folded(one: bytes | str, other: bytes | str) -> None:
    """What one reader or another might take for two things is two things."""
    assert of(one) != of(other)


@pytest.mark.parametrize("content_type", [JSON, "application/vnd.a+json; v=1", "Application/JSON"])
def test_kinds_of_json(content_type: str) -> None:
    """Every media type that says it is JSON is read as such."""
    assert of('{"a":1,"b":2}', content_type) == of('{"b": 2, "a": 1}', content_type)


@pytest.mark.parametrize("body", ["[1, 2", "NaN", '{"a":1,"a":1}', "[" * 200 + "]" * 200])
def test_unread_json_counts_by_its_bytes(body: str) -> None:
    """JSON that has no one meaning is not even free to change its white space."""
    assert of(body) != of(body + " ")


def test_bytes_cannot_pose_as_json() -> None:
    """No body that counts by its bytes has the fingerprint of one that was read."""
    # The canonical bytes of the empty array; by themselves they are no JSON.
    assert of(b"[]") != of(b"\x90")


@pytest.mark.parametrize("content_type", MEDIA_TYPES)
def test_parameters_do_not_count(content_type: str) -> None:
    """A media type counts without its parameters and without regard to case."""
    assert of("a", content_type) == of("a", f" {content_type.upper()} ; charset=utf-8")


def test_everything_said_counts() -> None:
    """Method, path, query, media type and body each make another request."""
    said = [
        ("POST", "/a", "b=1", JSON, b"1"),
        ("PUT", "/a", "b=1", JSON, b"1"),
        ("POST", "/b", "b=1", JSON, b"1"),
        ("POST", "/a", "b=2", JSON, b"1"),
        ("POST", "/ab=1", "", JSON, b"1"),
        ("POST", "/a", "b=1", "application/problem+json", b"1"),
        ("POST", "/a", "b=1", JSON, b"2"),
    ]
    assert len(said) == len({fingerprint(*each) for each in said})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a=1&b=2", "b=2&a=1"),
        ("a=1&b=2&a=3", "a=1&a=3&b=2"),
        ("a=%c3%a9+%2b", "a=%C3%A9%20%2B"),
        ("a=%7e", "a=~"),
        (b"a=\xe9", b"a=%E9"),
    ],
)
def test_same_form(one: bytes | str, other: bytes | str) -> None:
    """Forms with the same fields are one, however their bytes are written."""
    assert of(one, FORM) == of(other, FORM)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a=1&a=2", "a=2&a=1"),
        ("a=1", "a=1&a=1"),
        ("a=1", "a=1&b="),
        ("a=1&b=2", "a=1b=2"),
        ("a=%ff", "a=%fe"),
        ("a=1", "a=+1"),
    ],
)
def test_other_form(one: str, other: str) -> None:
    """Forms with other fields, or other values in another order, are two."""
    assert of(one, FORM) != of(other, FORM)


@given(st.dictionaries(st.text(min_size=1), st.text(min_size=1), max_size=5))
def test_order_of_fields_does_not_matter(fields: dict[str, str]) -> None:
    """The fields of a form come in any order."""
    pairs = [(name.encode(errors="replace"), value) for name, value in fields.items()]
    distinct = list(dict(pairs).items())
    texts = [urlencode(order, errors="replace") for order in (distinct, [*reversed(distinct)])]
    assert of(texts[0], FORM) == of(texts[1], FORM)


def test_form_with_many_fields_counts_by_its_bytes() -> None:
    """A form beyond measure is not taken apart."""
    many = ["a=1"] * MOST_FIELDS
    assert of("&".join(["b=1", *many]), FORM) != of("&".join([*many, "b=1"]), FORM)


PART = 'Content-Disposition: form-data; name="a"\r\n\r\nx'
FILE = 'Content-Disposition: form-data; name="b"; filename="c"\r\n\r\n\r\n--\r\ny'


@pytest.mark.parametrize("boundary", ["b", "'()+_,-./:=?", "x" * 70])
def test_boundary_does_not_matter(boundary: str) -> None:
    """The same parts are the same body, whatever stands between them."""
    one = of(form_data("a", PART, FILE), FORM_DATA + "a")
    assert one == of(form_data(boundary, PART, FILE), f'{FORM_DATA}"{boundary}"; charset=utf-8')


@pytest.mark.parametrize(
    "parts",
    [[PART], [FILE, PART], [PART, FILE, FILE], [PART, FILE + "z"], [PART + FILE]],
    ids=["fewer", "turned", "more", "changed", "merged"],
)
def test_other_parts(parts: list[str]) -> None:
    """Other parts, or the same in another order, are another body."""
    content_type = FORM_DATA + "a"
    assert of(form_data("a", PART, FILE), content_type) != of(form_data("a", *parts), content_type)


def test_what_comes_before_the_first_part_counts_too() -> None:
    """Some clients begin with an empty line; the boundary is still nothing that they say."""
    body = "{0}\r\n--{1}\r\n\r\nx\r\n--{1}--"
    one, other = (of(body.format("", name), FORM_DATA + name) for name in "ab")
    assert one == other
    assert one != of(body.format("before", "a"), FORM_DATA + "a")


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", "--{0}\r\n\r\nx\r\n--{0}--"),
        (FORM_DATA, "--{0}\r\n\r\nx\r\n--{0}--"),
        (FORM_DATA + "{0}", "x{0}"),
        (FORM_DATA + "{0}", "--{0}--"),
        (FORM_DATA + "{0}", "--{0}\r\n\r\nx\r\n--{0}"),
        (FORM_DATA + "{0}", "--{0}\r\n\r\nx\r\n--{0}z\r\n--{0}--"),
        (FORM_DATA + "{0}", "--{0}\n\nx\n--{0}--"),
    ],
)
def test_odd_parts_count_by_their_bytes(content_type: str, body: str) -> None:
    """What is not clearly divided by its boundary is not divided."""
    one, other = (of(body.format(name), content_type.format(name)) for name in "ab")
    assert one != other
