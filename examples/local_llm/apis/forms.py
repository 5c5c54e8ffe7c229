"""Forms: what OpenAI's dialects say about tools and about the format of an answer."""

import json
from collections.abc import Sequence
from contextlib import suppress

from ..errors import ApiError
from ..fields import Fields
from ..schema import check_schema
from ..tools import Form

__all__ = ["OBJECT", "read_choice", "read_format", "read_tools"]

OBJECT = Form({"type": "object"})

_CHOICES = {"none": "none", "auto": "auto", "required": "required", "any": "required"}
_FORMATS = frozenset({"text", "json_object", "json_schema"})


def read_tools(fields: Fields, *, nested: str | None) -> list[Form]:
    """Return the functions that a request offers.

    Args:
        fields: the request.
        nested: the member of a tool that holds the function; None if the tool is the function.
    """
    tools: list[Form] = []
    for tool in fields.objects("tools") if fields.get("tools") else []:
        tool.one_of("type", {"function"})
        function = tool.members(nested) if nested else tool
        schema = function.get("parameters") or {"type": "object", "properties": {}}
        checked = check_schema(schema, param=function.path("parameters"))
        tools.append(Form(checked, function.text("name")))
    return tools


def read_choice(fields: Fields, tools: Sequence[Form], *, nested: str | None) -> str:
    """Return which of the tools an answer calls: "none", "auto", "required" or a name."""
    choice = fields.get("tool_choice")
    if choice is None:
        return "auto"
    if isinstance(choice, str):
        return _CHOICES[fields.one_of("tool_choice", _CHOICES)]
    named = fields.members("tool_choice")
    named.one_of("type", {"function"})
    function = named.members(nested) if nested else named
    return function.one_of("name", {str(tool.tool) for tool in tools})


def read_format(wanted: Fields, *, nested: str | None, prompt: str) -> tuple[Form, ...]:
    """Return what an answer that calls no tool has to look like.

    Args:
        wanted: the member that says it.
        nested: the member of that one that holds the schema and its name, if there is one.
        prompt: where a request for just any object may show what it is to look like.
    """
    match wanted.one_of("type", _FORMATS, "text"):
        case "text":
            return ()
        case "json_object":
            return (_shown(prompt),)
        case _:
            named = wanted.members(nested) if nested else wanted
            return (Form(check_schema(named.get("schema"), param=named.path("schema"))),)


def _shown(prompt: str) -> Form:
    decoder, at = json.JSONDecoder(), prompt.find("{")
    while at >= 0:
        # What is no JSON, or no schema that is understood, is just a part of the prompt.
        with suppress(ValueError, RecursionError, ApiError):
            schema, end = decoder.raw_decode(prompt, at)
            at = end - 1
            if "properties" in schema:
                return Form(check_schema(schema, param="messages"))
        at = prompt.find("{", at + 1)
    return OBJECT
