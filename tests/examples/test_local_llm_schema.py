"""The local model's JSON: it fits its schema by construction."""

import json
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from enum import Enum
from random import Random
from typing import Any, Literal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, TypeAdapter

from examples.local_llm.errors import ApiError
from examples.local_llm.generation import Sampled
from examples.local_llm.schema import Composer, check_schema


def say(name: str) -> Iterator[Sampled]:
    """Say the same three words for each string, one of which needs to be escaped."""
    for word in (" a", ' "b"', f" {name}"):
        yield Sampled(text=word, token=word, logprob=-1.0)


def compose(schema: Any, seed: int = 0) -> str:
    """Return a text that fits a schema."""
    checked = check_schema(schema, param="schema")
    return "".join(token.text for token in Composer(checked, say=say, rng=Random(seed)).write())


class Color(Enum):
    """Some values of which one is taken."""

    RED = "red"
    BLUE = "blue"


class Node(BaseModel):
    """A schema that refers to itself."""

    value: int = Field(ge=3, lt=9, multiple_of=2)
    children: list["Node"]
    next: "Node | None"


class Everything(BaseModel):
    """A schema with all that is understood."""

    name: str = Field(min_length=5, max_length=7)
    free: str
    color: Color
    share: float = Field(gt=0, lt=1)
    below: int = Field(le=-5)
    node: Node
    moment: datetime
    day: date
    hour: time
    span: timedelta
    id: UUID
    either: int | str | None
    table: dict[str, int]
    pair: tuple[int, str]
    colors: set[Color] = Field(min_length=1)
    literal: Literal["x", 3]
    few: list[str] = Field(min_length=2, max_length=3)
    anything: Any
    optional: bool = False


@given(st.integers())
def test_instance_fits(seed: int) -> None:
    """Whatever chance does, the model that made the schema takes the text."""
    Everything.model_validate_json(compose(Everything.model_json_schema(), seed))


@given(st.integers())
def test_node_ends(seed: int) -> None:
    """A schema that refers to itself is given an end."""
    Node.model_validate_json(compose(Node.model_json_schema(), seed))


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"const": {"a": 1}}, '{"a": 1}'),
        ({"type": "null"}, "null"),
        ({"type": "string"}, r'"a \"b\" "'),
        ({"type": "string", "maxLength": 0}, '""'),
        ({"type": "array", "items": {}, "maxItems": 0}, "[]"),
        ({"allOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"const": 1}}}, "1"),
        ({"properties": {"a": {"const": 1}}, "required": ["a"]}, '{"a": 1}'),
        ({"items": {"const": 1}, "minItems": 2, "maxItems": 2}, "[1, 1]"),
        ({"type": "array", "uniqueItems": True, "items": {"const": 1}, "minItems": 1}, "[1]"),
        ({"type": "object", "additionalProperties": False}, "{}"),
        ({"type": "number", "minimum": 2, "maximum": 2}, "2.0"),
        ({"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"enum": [7]}}}, "7"),
        (
            {
                "allOf": [
                    {"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"]},
                    {"properties": {"b": {"const": 2}}, "required": ["b"]},
                ]
            },
            '{"a": 1, "b": 2}',
        ),
    ],
)
def test_instance(schema: Any, expected: str) -> None:
    """Where a schema leaves no choice, its one instance is written."""
    assert expected == compose(schema)


@pytest.mark.parametrize("kind", ["email", "uri", "ipv4"])
def test_formats(kind: str) -> None:
    """A string of a known format has it, whatever else is said about it."""
    assert "example" in compose({"type": "string", "format": kind}) or kind == "ipv4"


def test_required_member_may_be_undescribed() -> None:
    """A member that is required is there, even if nothing is said about it."""
    assert ["a"] == [*json.loads(compose({"type": "object", "required": ["a"]}))]


def test_long_strings() -> None:
    """A string is as long as it must be."""
    assert len(json.loads(compose({"type": "string", "minLength": 500}))) >= 500


def test_choices_have_their_probability() -> None:
    """A value that is one of two has a probability of a half."""
    tokens = [*Composer({"enum": [1, 2]}, say=say, rng=Random(0)).write()]
    assert pytest.approx(-0.6931, abs=1e-4) == sum(token.logprob for token in tokens)


@pytest.mark.parametrize(
    "schema",
    [
        None,
        [],
        {"type": "string", "pattern": "a+"},
        {"type": "text"},
        {"properties": {"a": {"not": {}}}},
        {"anyOf": [{"$ref": "#/$defs/x"}]},
        {"$ref": "https://example.com/schema"},
    ],
)
def test_what_cannot_be_made_is_refused(schema: Any) -> None:
    """A schema that no answer is known to fit is refused before anything is sampled."""
    with pytest.raises(ApiError, match="schema"):
        check_schema(schema, param="schema")


@pytest.mark.parametrize(
    "schema",
    [
        {"$defs": {"a": {"properties": {"b": {"$ref": "#/$defs/a"}}, "required": ["b"]}}},
        {"$defs": {"a": {"type": "integer", "minimum": 5, "maximum": 4}}},
    ],
)
def test_what_nothing_fits_is_refused(schema: Any) -> None:
    """A schema that has no instance is refused when that is seen."""
    with pytest.raises(ApiError, match="schema"):
        compose({**schema, "$ref": "#/$defs/a"})


def test_adapter_of_a_list() -> None:
    """A schema need not be an object."""
    texts = compose(TypeAdapter(list[int]).json_schema())
    assert list is type(json.loads(texts))
