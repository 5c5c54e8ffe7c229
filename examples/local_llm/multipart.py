"""Multipart bodies: what a form with files looks like on the wire."""

from dataclasses import dataclass
from email.message import Message

from .errors import ApiError

__all__ = ["Field", "parse_form"]


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a form.

    Args:
        filename: what the file is called; None if the field is no file.
        media_type: what it is said to hold.
    """

    content: bytes
    filename: str | None = None
    media_type: str = "text/plain"


def parse_form(body: bytes, *, content_type: str) -> dict[str, Field]:
    """Return the fields of a form by their names.

    Raises:
        ApiError: it is no form, or has no end.
    """
    head = _message(f"content-type: {content_type}")
    boundary = head.get_boundary()
    if head.get_content_type() != "multipart/form-data" or not boundary:
        raise ApiError("Send a multipart/form-data body with a boundary.", code="invalid_form")
    begin, *parts, end = (b"\r\n" + body).split(b"\r\n--" + boundary.encode())
    if begin or not end.startswith(b"--"):
        raise ApiError("The multipart body has no end.", code="invalid_form")
    return dict(_field(part) for part in parts)


def _field(part: bytes) -> tuple[str, Field]:
    head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
    message = _message(head.decode("utf-8", "replace"))
    name = message.get_param("name", "", header="content-disposition")
    return str(name), Field(content, message.get_filename(), message.get_content_type())


def _message(head: str) -> Message:
    message = Message()
    for line in head.split("\r\n"):
        name, _, value = line.partition(":")
        message[name.strip()] = value.strip()
    return message
