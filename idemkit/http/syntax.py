"""The syntax of a key: a String of RFC 9651, or the same text without its quotes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["LONGEST", "MalformedKeyError", "parse_key"]

LONGEST: Final = 255
"""Characters of a key, once decoded."""

_INSIDE: Final = r'[ !#-\[\]-~]*(?:\\["\\][ !#-\[\]-~]*)*'  # of quotes
_BARE: Final = r"[!#-+\--:<-~]+"  # visible, and neither a quote nor a comma nor a semicolon
_PARAMETER: Final = rf'; *[a-z*][a-z0-9_.*-]*(?:=(?:%?"{_INSIDE}"|{_BARE}))?'
_KEY: Final = re.compile(rf'[ \t]*(?:"({_INSIDE})"|({_BARE}))(?:{_PARAMETER})*[ \t]*')
_ESCAPED: Final = re.compile(r"\\(.)")


class MalformedKeyError(ValueError):
    """A header field is there, but its value is no key; the text says why and does not repeat it.

    Raised to be answered with 400; it reaches no caller.
    """


def parse_key(values: Sequence[str], pattern: re.Pattern[str] | None = None) -> str:
    r"""Return the key that a header field carries; ``"a"`` and ``a`` are the same one.

    Args:
        values: Every value of the field; there is one at least.
        pattern: What the key must match as a whole.

    Raises:
        MalformedKeyError: It carries none, or more than one.
    """
    if len(values) != 1:
        raise MalformedKeyError("The field is repeated; send one key.")
    found = _KEY.fullmatch(values[0])
    if found is None:
        raise MalformedKeyError(_complaint(values[0]))
    quoted, bare = found.groups()
    key: str = bare if quoted is None else _ESCAPED.sub(r"\1", quoted)
    if not key.strip():
        raise MalformedKeyError("The key is empty.")
    if len(key) > LONGEST:
        message = f"The key has {len(key)} characters; {LONGEST} are allowed."
        raise MalformedKeyError(message)
    if pattern is not None and not pattern.fullmatch(key):
        raise MalformedKeyError("The key is not of the form that this operation asks for.")
    return key


def _complaint(value: str) -> str:
    if not value.strip():
        return "The key is empty."
    return (
        'The key is no string of RFC 9651, such as "8e03978e" in its quotes, nor visible ASCII '
        "characters without quotes, commas and semicolons."
    )
