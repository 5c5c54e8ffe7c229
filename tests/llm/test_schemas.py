"""Tests of `idemkit.llm.identities`: where the order of names counts."""

from typing import Any

import pytest

from tests.llm.wire import BODY, CHAT, MESSAGES, RESPONSES, post, said


@pytest.mark.parametrize("name", ["parameters", "input_schema", "schema", "responseSchema"])
def test_order_of_names_counts_in_schemas(name: str) -> None:
    """The order of properties steers in which order a model writes them."""
    one, other = (
        {"tools": [{name: {"type": order}}]} for order in ({"a": 1, "b": 2}, {"b": 2, "a": 1})
    )
    assert said(post(CHAT, one)) != said(post(CHAT, other))


@pytest.mark.parametrize(
    ("path", "counts"),
    [
        ("format", True),
        ("json_schema", True),
        ("structured_outputs.json", True),
        ("guided_json", True),
        ("response_format.value", True),
        ("response_format.schema", True),
        ("response_format.json_schema.schema", True),
        ("generationConfig.responseSchema", True),
        ("generationConfig.responseJsonSchema", True),
        ("generationConfig._responseJsonSchema", True),
        ("functionDeclarations.response", True),
        ("function_declarations.response", True),
        ("response_format.json_schema", False),
        ("text.format", False),
        ("structured_outputs.other", False),
        ("metadata.json", False),
        ("metadata.response", False),
        ("metadata.value", False),
    ],
)
@pytest.mark.parametrize("listed", [False, True])
def test_order_of_names_counts_where_a_server_reads_a_schema(
    path: str, counts: bool, listed: bool
) -> None:
    """Each server has its own place for a schema; elsewhere these names are anybody's."""
    bodies: list[Any] = [{"properties": {"a": 1, "b": 2}}, {"properties": {"b": 2, "a": 1}}]
    for name in reversed(path.split(".")[1:]):
        bodies = [[{name: body}] if listed else {name: body} for body in bodies]
    one, other = ({path.partition(".")[0]: body} for body in bodies)
    assert counts == (said(post(CHAT, one)) != said(post(CHAT, other)))


def test_what_is_no_schema_there_counts_as_it_is() -> None:
    """A server may take a word, or nothing, where others take a schema."""
    bodies = [{"response_format": form} for form in ("json", None, ["value"], {"value": "json"})]
    assert 4 == len({said(post(CHAT, {**BODY, **body})) for body in bodies})


@pytest.mark.parametrize("url", [CHAT, MESSAGES, RESPONSES])
def test_numbers_in_schemas_are_numbers(url: str) -> None:
    """How a number is written does not count in a schema either."""
    one, other = ({"tools": [{"schema": {"maximum": bound}}]} for bound in (1, 1.0))
    assert said(post(url, one)) == said(post(url, other))
