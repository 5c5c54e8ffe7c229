"""The fingerprint of a request: equal for two bodies that say the same, and for no others.

A body that cannot be read as what it claims to be counts by its bytes, and so does one whose
meaning depends on who reads it, such as JSON with a name given twice. How a body was read is a part
of the fingerprint, so that no two ways can meet.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qsl

from ..core.keys import canonical, digest, strict_decoder

__all__ = ["MOST_FIELDS", "fingerprint"]

MOST_FIELDS: Final = 10_000
"""Fields of a form; one of more counts by its bytes."""

_BOUNDARY: Final = re.compile(r';\s*boundary=(?:"([ !#-~]+)"|([!#-:<-~]+))', re.IGNORECASE)
_END_OF_DELIMITER: Final = re.compile(rb"[ \t]*\r\n")


def fingerprint(method: str, path: str, query: str, content_type: str, body: bytes) -> bytes:
    """Return 16 bytes that stand for what a request asks; no body makes this fail.

    Args:
        method: In capitals.
        path: The path of the request, as the application sees it.
        query: What follows the question mark, as it came.
        content_type: The value of the field, or nothing; its parameters do not count.
        body: The whole body.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    how, said = _read(media_type, content_type, body)
    line = canonical((method, path, query, media_type, how))
    return digest(line, said)


def _read(media_type: str, content_type: str, body: bytes) -> tuple[str, bytes]:
    """Return how a body was read, and canonical bytes of what it says."""
    try:
        if media_type == "application/json" or media_type.endswith("+json"):
            return "json", canonical(_decode_json(body.decode()))
        if media_type == "application/x-www-form-urlencoded":
            return "form", canonical(_form(body))
        if media_type.startswith("multipart/"):
            return "parts", canonical(_parts(content_type, body))
    # What is too deep overflows the decoder's stack, or has no canonical form.
    except (RecursionError, TypeError, ValueError):
        pass
    return "bytes", body


# Numbers stand for themselves, by their digits: no precision is lost, none is made up, and bytes
# cannot be taken for anything else that JSON knows.
_decode_json: Final = strict_decoder(integer=str.encode, fraction=str.encode)


def _form(body: bytes) -> dict[str, list[str]]:
    # As Latin-1, every byte is a character, whatever the encoding of the form.
    fields = parse_qsl(
        body.decode("latin-1"),
        keep_blank_values=True,
        encoding="latin-1",
        max_num_fields=MOST_FIELDS,
    )
    values: dict[str, list[str]] = {}
    for name, value in fields:
        values.setdefault(name, []).append(value)
    return values


def _parts(content_type: str, body: bytes) -> list[bytes]:
    """Return the parts, without the boundary between them: clients make up a new one each time."""
    found = _BOUNDARY.search(content_type)
    if found is None:
        raise ValueError("no boundary")
    delimiter = b"\r\n--" + (found[1] or found[2]).encode()
    before, *parts, end = (b"\r\n" + body).split(delimiter)
    clean = all(_END_OF_DELIMITER.match(part) for part in parts) and end.startswith(b"--")
    if not parts or not clean:
        raise ValueError("not as RFC 2046 has it")
    return [before, *parts, end]
