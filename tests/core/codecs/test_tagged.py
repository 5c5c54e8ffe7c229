"""The tagged form is what its module says, and rebuilds nothing that is not named."""

from enum import Enum
from typing import Any

import msgspec
import pytest

from idemkit.core.codecs.codec_errors import DecodeError
from idemkit.core.codecs.models import Models, Scope
from idemkit.core.codecs.tagged import is_plain, read_document, write_document


class Color(Enum):
    """A class that a record may hold."""

    __module__ = "app"
    RED = 1


NOTHING = Models([], Scope)
COLORS = Models([Color], Scope)


def document(value: Any) -> Any:
    """Return the document of a value, as MessagePack shows it."""
    return msgspec.msgpack.decode(write_document(value, COLORS))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ((1, "é", None), [[], ["tuple", 1, "é", None]]),
        ({1: [b"a"]}, [[], ["dict", 1, ["plain", [b"a"]]]]),
        ([2**64], [[], ["list", ["int", "10000000000000000"]]]),
        ({"b", "a"}, [[], ["set", "a", "b"]]),
        ([Color.RED, Color.RED], [["app.Color"], ["list", *[["enum", 0, "RED"]] * 2]]),
    ],
    ids=["tuple", "dict", "list", "set", "enum"],
)
def test_document_is_made_of_tagged_nodes(value: Any, expected: Any) -> None:
    """Values that MessagePack lacks are arrays with a tag, classes are numbers."""
    assert expected == document(value)


@pytest.mark.parametrize("value", [None, 1, [], {"a": [{"b": b""}]}])
def test_value_of_messagepack_types_is_plain(value: Any) -> None:
    """What MessagePack has at every depth needs no tags."""
    assert is_plain(value)


@pytest.mark.parametrize("value", [(), {1: 2}, [[1, ()]], {"a": {"b": {1}}}, 1j])
def test_other_value_is_not_plain(value: Any) -> None:
    """One part that MessagePack lacks is enough."""
    assert not is_plain(value)


def test_unnamed_class_is_not_rebuilt() -> None:
    """The same bytes are refused where no annotation names the class."""
    with pytest.raises(DecodeError, match=r"app\.Color"):
        read_document(write_document(Color.RED, COLORS), NOTHING)


def test_bytes_cannot_call_a_class() -> None:
    """A tag that does not fit the class never ends in a call of it."""
    body = msgspec.msgpack.encode([["app.Color"], ["namedtuple", 0, 1]])
    with pytest.raises(TypeError):
        read_document(body, COLORS)
