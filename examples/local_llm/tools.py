"""Tools: which of the offered functions an answer calls, if any."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .schema import Schema

__all__ = ["Form", "called"]


@dataclass(frozen=True, slots=True)
class Form:
    """What an answer has to look like.

    Args:
        schema: what its JSON fits.
        tool: the function whose arguments it is; None if it is the text itself.
    """

    schema: Schema
    tool: str | None = None


def called(tools: Sequence[Form], *, choice: str, asked: str) -> tuple[Form, ...]:
    """Return the tools of which an answer calls one; none if it is to be text.

    Args:
        tools: all that are offered.
        choice: "none", "auto", "required" or the name of the only one.
        asked: what the user said last. A model of this kind cannot reason about tools, so with
            "auto" it calls one that is named there.
    """
    if choice == "required":
        return tuple(tools)
    named = [tool for tool in tools if tool.tool == choice]
    if choice == "auto":
        named = [tool for tool in tools if re.search(rf"\b{re.escape(str(tool.tool))}\b", asked)]
    return tuple(named)
